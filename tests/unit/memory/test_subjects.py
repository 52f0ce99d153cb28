"""Whom and what a call is about."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.memory.records import MAX_SUBJECTS, checked_subjects
from factotum.memory.subjects import subjects_of
from tests.support.memory import EMPLOYEE

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["id", "userName", "employee"]), inner),
    max_leaves=30,
)


@pytest.mark.parametrize(
    ("value", "subjects"),
    [
        ({"employee": EMPLOYEE}, ["123", "ada.lovelace@acme.example"]),
        ({"userName": "Ada", "externalId": 7, "employee_number": "E-9"}, ["ada", "7", "e-9"]),
        ({"to": ["Ada <ada@acme.example>", "<bob+x@acme.example>;"]}, ["ada@acme.example", "bob+x@acme.example"]),
        (
            "Write to 'o'brien@acme.example', or mailto:eve@mail.acme.example.",
            ["o'brien@acme.example", "eve@mail.acme.example"],
        ),
        ({"users": [{"id": "7"}, {"id": "8"}], "issue": {"key": "HR-12"}}, ["7", "8", "hr-12"]),
        ({"text": "Für jürgen@bücher.example"}, ["jürgen@bücher.example"]),
        # Ids of a platform, and what is none.
        ({"id": "99", "runId": "r", "schemas": ["urn:x"], "meta": {"id": "1"}, "key": "k"}, []),
        ({"userName": True, "externalId": None, "employeeId": " "}, []),
        ("a@b, @acme.example, ada@, root@localhost, 5@1.2", []),
        ({"password": "ada@acme.example", "token": {"userName": "ada"}}, []),
        ({"userName": "x" * 257}, []),
        ({"userName": "a\nb"}, []),
        (None, []),
    ],
)
def test_identifiers(value: Any, subjects: list[str]) -> None:
    assert subjects_of(value) == subjects


def test_the_runs_own_ids_are_none_and_each_stands_once() -> None:
    assert subjects_of({"accountId": "R1", "userName": "ada"}, {"login": "ADA"}, without=["r1"]) == ["ada"]


def test_the_first_ones_of_a_long_list() -> None:
    assert subjects_of([{"userName": f"u{n}"} for n in range(100)]) == [f"u{n}" for n in range(MAX_SUBJECTS)]


@pytest.mark.parametrize("text", ["a" * 200_000, "@" * 200_000, "a@" * 100_000, "a." * 90_000 + "@" + "b." * 90_000])
def test_no_text_takes_long(text: str) -> None:
    assert len(subjects_of(text)) <= MAX_SUBJECTS


@given(JSON)
def test_whatever_is_found_can_be_kept(value: Any) -> None:
    found = subjects_of(value)
    assert list(checked_subjects(found)) == found
