"""Patterns of schemas: what ends soon passes, what may not is refused before a worker is held up."""

from __future__ import annotations

import pytest

from factotum.procedures.patterns import fault_of
from factotum.procedures.schemas import fault_of as fault_of_schema


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$",
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "^[^@ ]+@[^@ ]+$",
        "^(draft|final)$",
        "^(ab)*c?$",
        "^[A-Z][a-z]* [A-Z][a-z]*$",
    ],
)
def test_what_people_write_passes(pattern: str) -> None:
    assert fault_of(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("^(a+)+$", "no fixed length"),
        ("(x+x+)+y", "no fixed length"),
        ("^(a|aa)+$", "no fixed length"),
        ("^(?:(?:a?){3})*$", "no fixed length"),
        (r"^(a+)\1$", "refers back"),
        ("a*b*c*d*e*", "more than 4"),
        ("(", "not a regular expression"),
    ],
)
def test_what_may_try_without_end_is_refused(pattern: str, words: str) -> None:
    assert words in (fault_of(pattern) or "")


def test_a_schema_is_looked_through_for_them() -> None:
    inside = {"properties": {"codes": {"items": {"pattern": "^(a+)+$"}}}}
    assert "(a+)+" in (fault_of_schema(inside) or "")
    assert "(b+)+" in (fault_of_schema({"patternProperties": {"^(b+)+$": {}}}) or "")
    assert fault_of_schema({"properties": {"pattern": {"type": "string"}}}) is None
