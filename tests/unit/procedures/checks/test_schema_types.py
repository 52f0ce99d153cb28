"""A schema's type has every value that keeps the schema, and a conflict is one for every value of a type."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from factotum.procedures.checks.schema_types import conflict, type_of
from factotum.procedures.checks.types import ANY, STRING, join, of_value
from tests.support.checked import said
from tests.unit.procedures.checks.test_inference import VALUES, holds

_KINDS = ["null", "boolean", "integer", "number", "string", "array", "object"]
_LEAVES = st.one_of(
    st.booleans(),
    st.fixed_dictionaries(
        {"type": st.sampled_from(_KINDS) | st.lists(st.sampled_from(_KINDS), min_size=1, unique=True)}
    ),
    st.fixed_dictionaries({"enum": st.lists(VALUES, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": VALUES}),
    st.just({"$ref": "#/$defs/x"}),
    st.just({"type": "string", "minLength": 1}),
    st.just({"minimum": 1}),
)
_PARTS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3)},
            optional={
                "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
                "additionalProperties": st.booleans() | inner,
                "type": st.just("object"),
            },
        ),
        st.fixed_dictionaries(
            {"items": inner},
            optional={"minItems": st.integers(0, 2), "prefixItems": st.lists(inner, min_size=1, max_size=2)},
        ),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=5,
)
SCHEMAS = st.builds(
    lambda schema, named: {**schema, "$defs": {"x": named}} if isinstance(schema, dict) else schema, _PARTS, _LEAVES
).filter(lambda schema: not (isinstance(schema, dict) and schema["$defs"]["x"] == {"$ref": "#/$defs/x"}))


@settings(max_examples=120, deadline=None)
@given(SCHEMAS, VALUES)
def test_what_keeps_a_schema_is_of_its_type(schema: Any, value: Any) -> None:
    if Draft202012Validator(schema).is_valid(value):
        assert holds(type_of(schema), value)


@settings(max_examples=120, deadline=None)
@given(SCHEMAS, VALUES, VALUES)
def test_what_keeps_a_schema_is_never_a_conflict(schema: Any, value: Any, other: Any) -> None:
    if Draft202012Validator(schema).is_valid(value):
        assert conflict(of_value(value), schema) is None
        assert conflict(join(of_value(value), of_value(other)), schema) is None


@pytest.mark.parametrize(
    ("value", "schema", "message"),
    [
        (1, {"type": "string"}, "is a whole number, where a text is expected"),
        ({"a": 1}, {"properties": {"a": {"type": "string"}}}, "is a whole number, where a text is expected"),
        ({"a": 1}, {"required": ["b"]}, "has no `b`, which is required"),
        ({"a": 1}, {"additionalProperties": False}, "has `a`, which is not taken"),
        ("x", {"enum": ["y", "z"]}, "is never right: 'x' is not one of ['y', 'z']"),
        ([1], {"items": {"type": "string"}}, "is a whole number, where a text is expected"),
        ([], {"minItems": 1}, "has 0 items, where at least 1 are expected"),
        ([1, 2], {"maxItems": 1}, "has 2 items, where at most 1 are expected"),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "is a whole number, where a text or null is expected"),
        (1, {"$ref": "#/$defs/x", "$defs": {"x": {"type": "array"}}}, "where an array is expected"),
        (1, {"allOf": [{}, {"type": "object"}]}, "where an object is expected"),
        ([1], {"const": "x"}, "is an array, where one of x is expected"),
    ],
)
def test_a_conflict_says_why(value: Any, schema: Any, message: str) -> None:
    found = conflict(of_value(value), schema)
    assert found is not None
    assert message in found.message


def test_of_a_text_that_is_not_known_only_its_kind_counts() -> None:
    assert conflict(STRING, {"enum": ["a"]}) is None
    assert conflict(STRING, {"enum": [1, 2]}) is not None
    assert conflict(ANY, {"type": "string", "enum": ["a"]}) is None


def test_a_schema_that_names_itself_many_times_is_read_in_a_moment() -> None:
    names = [f"p{index}" for index in range(40)]
    node = {"type": "object", "properties": {name: {"$ref": "#/$defs/n"} for name in names}, "required": names}
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {**node, "anyOf": [{"$ref": "#/$defs/n"}] * 10}}}
    began = time.process_time()
    conflict(type_of(schema), schema)
    assert time.process_time() - began < 2


def test_a_context_that_holds_itself_again_and_again_is_followed_in_a_moment() -> None:
    steps = "".join(
        f"  - a{index}: {{if: .x, set: {{}}, export: {{as: '{{l: $context, r: [$context, .], n: {index}}}'}}}}\n"
        for index in range(60)
    )
    began = time.process_time()
    assert said(f"do:\n{steps}") == []
    assert time.process_time() - began < 4
