from __future__ import annotations

from datetime import date

import pytest

from factotum.dev.hires import next_hire


def test_ada_is_the_first_and_nobody_is_hired_twice() -> None:
    taken: list[str] = []
    for _ in range(60):
        taken.append(next_hire(taken, tenant="acme", today=date(2026, 11, 24)).workEmail)
    assert taken[0] == "ada.lovelace@acme.example"
    assert len(set(taken)) == 60
    assert "ada.lovelace.2@acme.example" in taken
    assert all(" " not in address for address in taken)


def test_an_address_is_taken_in_whatever_case() -> None:
    hire = next_hire(["Ada.Lovelace@ACME.example"], tenant="acme", today=date(2026, 11, 24))
    assert hire.name == "Grace Hopper"


@pytest.mark.parametrize("day", range(23, 30))
def test_they_start_on_the_next_monday(day: int) -> None:
    assert next_hire([], tenant="acme", today=date(2026, 11, day)).hireDate == date(2026, 11, 30)
