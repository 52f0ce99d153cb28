"""Values are held against strangers' schemas in bounded time, and as jsonschema does it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from factotum.connectors.protocols import bounded_schema
from factotum.connectors.protocols.bounded_schema import SchemaUnbounded, check, faults, validator
from factotum.connectors.protocols.linear_regex import RegexInvalid, regex

SEVEN = "http://json-schema.org/draft-07/schema#"


def doubling(levels: int, *, inside: bool = False) -> dict[str, Any]:
    """Each schema refers to the next twice: for the same value, or for the one inside."""
    definitions: dict[str, Any] = {f"d{levels}": {"type": "object"}}
    for level in range(levels):
        next_one: dict[str, Any] = {"$ref": f"#/$defs/d{level + 1}"}
        definitions[f"d{level}"] = {"allOf": [{"properties": {"a": next_one}} if inside else next_one] * 2}
    return {"$ref": "#/$defs/d0", "$defs": definitions}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"k": {"$ref": "#/$defs/X"}}}, "#/\\$defs/X, which is not there"),
        ({"$ref": "#"}, "without end"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "items": {"$ref": "#/$defs/a"}}, "without end"),
        ({"$ref": "http://169.254.169.254/x"}, "only references inside"),
        ({"$ref": "#name"}, "only references inside"),
        ({"$ref": "#/type", "type": "object"}, "no schema"),
        ({"$dynamicRef": "#x"}, "not supported"),
        ({"properties": {"a": {"$id": "http://a/b"}}}, "not supported"),
        (doubling(24), "hold for one value"),
        ({"properties": {"a": {"pattern": r"^(?=a)b"}}}, "without backtracking"),
        ({"properties": {"a": {"patternProperties": {r"(a)\1": {}}}}}, "without backtracking"),
    ],
)
def test_a_schema_that_nothing_can_be_held_against(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaUnbounded, match=words):
        check(schema)


def test_recursion_along_the_value_is_taken() -> None:
    tree = {"$id": "urn:tree", "properties": {"left": {"$ref": "#"}, "many": {"items": {"$ref": "#/$defs/a~1b"}}}}
    schema = {**tree, "$defs": {"a/b": {"$ref": "#"}, "unused": {"$ref": "#/nowhere"}}, "type": "object"}
    check(schema)
    assert not faults(validator(schema), {"left": {"many": [{"left": {}}]}}, 5)
    assert faults(validator(schema), {"left": {"many": [{"left": 1}]}}, 5)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling(24), {}),
        ({**doubling(24), "$schema": SEVEN}, {}),
        ({"properties": {"a": {**doubling(24), "$schema": SEVEN}}, "$defs": doubling(24)["$defs"]}, {"a": {}}),
        ({"pattern": "(?:[ab]{0,100}){0,100}c"}, "ab" * 100_000),
        ({"$ref": "#"}, 1),
        ({"$ref": "#/nowhere"}, 1),
    ],
)
def test_a_value_that_would_take_for_ever_is_a_fault(schema: dict[str, Any], value: Any) -> None:
    begun = time.monotonic()
    (fault,) = faults(validator(schema), value, 5)
    assert fault.validator == bounded_schema.BOUND
    assert time.monotonic() - begun < 3


def test_so_is_one_that_goes_deeper_by_twos() -> None:
    value: dict[str, Any] = {}
    for _ in range(24):
        value = {"a": value}
    schema = doubling(25, inside=True)
    check(schema)
    assert [fault.validator for fault in faults(validator(schema), value, 5)] == [bounded_schema.BOUND]


def test_many_things_are_looked_at_once() -> None:
    schema = {"items": {"type": "object"}, "uniqueItems": True}
    begun = time.monotonic()
    assert not faults(validator(schema), [{"n": n} for n in range(20_000)], 5)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"uniqueItems": True}, [1, True, "1", None, [1], {"a": 1, "b": 2}]),
        ({"uniqueItems": True}, [1, 1.0]),
        ({"uniqueItems": True}, [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]),
        ({"enum": [1, "a", None, {"b": 1}]}, 1.0),
        ({"enum": [1, "a", None, {"b": 1}]}, True),
        ({"enum": [1, "a", None, {"b": 1}]}, {"b": 1}),
        ({"enum": [1, "a", None, {"b": 1}]}, "b"),
        ({"pattern": "b+"}, "abc"),
        ({"pattern": "^b+$"}, "abc"),
        ({"pattern": "b"}, 1),
        ({"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False}, {"xa": "1"}),
        ({"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False}, {"xa": 1}),
        ({"patternProperties": {"^x": {}}, "properties": {"y": {}}, "additionalProperties": False}, {"xa": 1, "y": 2}),
        ({"properties": {"y": {}}, "additionalProperties": False}, {"y": 2, "z": 1}),
        ({"additionalProperties": {"type": "string"}}, {"y": 2}),
        ({"additionalProperties": {"type": "string"}}, {"y": "2"}),
    ],
)
def test_the_keywords_that_are_done_here_mean_what_they_mean(schema: dict[str, Any], value: Any) -> None:
    assert (not faults(validator(schema), value, 5)) is Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("pattern", "states"), [("abc", 3), ("^[a-z]{3}$", 5), ("(a{2}b){10}", 30), (r"\d{2,}", 2), ("", 1), ("(a|b)*", 4)]
)
def test_the_size_of_a_pattern(pattern: str, states: int) -> None:
    assert regex(pattern).states == states


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?!a)b", "(a{200}){200}", "x" * 6000])
def test_a_pattern_that_is_not_taken(pattern: str) -> None:
    with pytest.raises(RegexInvalid):
        regex(pattern)


def test_a_pattern_that_backtracks_elsewhere_does_not_here() -> None:
    begun = time.monotonic()
    assert not regex("^(a+)+$").found("a" * 100_000 + "!")
    assert time.monotonic() - begun < 1
