"""Examples are taken by the schemas they are made from."""

from __future__ import annotations

from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from factotum.cli.catalog import installed
from factotum.simulation.examples import Examples, NoExample, Style

STYLES = get_args(Style)


def leaves() -> st.SearchStrategy[Any]:
    whole = st.tuples(st.integers(-20, 20), st.integers(0, 30)).map(
        lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}
    )
    lengths = st.tuples(st.integers(0, 12), st.integers(0, 30)).map(
        lambda pair: {"type": "string", "minLength": pair[0], "maxLength": pair[0] + pair[1]}
    )
    patterns = st.sampled_from(["^[A-Z]{2}\\d{4}$", "^(red|green)$", r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$", "x+"])
    formats = st.sampled_from(["date", "date-time", "email", "uri", "uuid", "ipv4", "hostname", "duration", "time"])
    return st.one_of(
        whole,
        lengths,
        patterns.map(lambda pattern: {"type": "string", "pattern": pattern}),
        formats.map(lambda name: {"type": "string", "format": name}),
        st.sampled_from([{"type": ["string", "null"]}, {"enum": [1, "a", None]}, {"const": {"a": 1}}, {}, True]),
        st.sampled_from([{"type": "number", "exclusiveMinimum": 0}, {"type": "integer", "multipleOf": 7}]),
        st.just({"type": "boolean"}),
    )


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["id", "email", "createdAt", "timeZone", "href", "startDate", "other"])

    @st.composite
    def objects(draw: Any) -> Any:
        properties = draw(st.dictionaries(names, inner, max_size=4))
        required = draw(st.lists(st.sampled_from([*properties, "more"]), unique=True, max_size=2))
        return {"type": "object", "properties": properties, "required": required}

    return st.one_of(
        objects(),
        st.tuples(inner, st.integers(0, 4)).map(lambda pair: {"type": "array", "items": pair[0], "minItems": pair[1]}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        inner.map(lambda part: {"$defs": {"part": part}, "properties": {"a": {"$ref": "#/$defs/part"}}}).map(
            lambda whole: whole | {"type": "object", "required": ["a"]}
        ),
    )


def without_nested_definitions(schema: Any) -> bool:
    """A reference points into the root: definitions further down would be others'."""
    return str(schema).count("$defs") <= 2 and (not str(schema).count("$ref") or "$defs" in schema)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(leaves(), nested, max_leaves=8).filter(without_nested_definitions),
    st.integers(0, 1000),
    st.sampled_from(STYLES),
)
def test_a_schema_takes_its_examples(schema: Any, seed: int, style: Style) -> None:
    schema = schema if isinstance(schema, dict) else {"allOf": [schema]}
    value = Examples(Random(seed), style).of(schema)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)
    assert Examples(Random(seed), style).of(schema) == value


@pytest.mark.parametrize("pattern", ["^[a-z0-9]+$", "^x-[a-z]{3}$"])
def test_keys_and_values_by_pattern(pattern: str) -> None:
    numbers = {"type": "array", "items": {"type": "integer"}}
    schema = {
        "type": "object",
        "patternProperties": {pattern: numbers},
        "additionalProperties": False,
        "minProperties": 1,
    }
    Draft202012Validator(schema).validate(Examples(Random(0)).of(schema, "scores"))


@pytest.mark.parametrize("style", STYLES)
def test_every_installed_tool_has_an_example(style: Style) -> None:
    for seed, (name, spec) in enumerate(sorted(installed().items())):
        for schema in (spec.output_schema, spec.input_schema):
            value = Examples(Random(seed), style).of(schema, name)
            Draft202012Validator(schema).validate(value)


def test_examples_are_for_people_to_read() -> None:
    text = {"type": "string"}
    schema = {
        "type": "object",
        "properties": {
            **{"uid": text, "workEmail": text, "timeZone": text, "hireDate": {"type": "string", "format": "date"}},
            **{"tags": {"type": "array", "items": text}, "nick": {"anyOf": [text, {"type": "null"}]}},
        },
        "required": ["uid"],
    }
    assert Examples(Random(0)).of(schema) == {
        "uid": "uid-1",
        "workEmail": "workEmail-1@example.com",
        "timeZone": "UTC",
        "hireDate": "2026-01-05",
        "tags": ["tag-1", "tag-2", "tag-3"],
        "nick": "nick-1",
    }
    assert Examples(Random(0), "least").of(schema) == {"uid": "uid-1"}
    assert len(Examples(Random(0), "many").of(schema)["tags"]) == 12


def test_that_a_value_is_one_of_any_is_said() -> None:
    for schema, is_open in (({}, True), ({"type": "object"}, True), ({"type": "array"}, True), ({"const": 1}, False)):
        examples = Examples(Random(0))
        examples.of(schema)
        assert examples.open is is_open, schema


def test_a_schema_that_ends_in_itself_ends() -> None:
    schema = {"$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
    Draft202012Validator(schema).validate(Examples(Random(0)).of(schema))


def test_what_takes_nothing_is_said() -> None:
    with pytest.raises(NoExample, match="no example of thing"):
        Examples(Random(0)).of({"type": "string", "not": {}}, "thing")
