"""Schemas of OpenAPI documents become JSON Schema 2020-12 that means the same."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from factotum.connectors.protocols.openapi_schema import SchemaInvalid, Schemas


def document(version: str = "3.0.3", **schemas: Any) -> dict[str, Any]:
    return {"openapi": version, "components": {"schemas": schemas}}


def takes(schema: Any, value: Any, *, version: str = "3.0.3", sent: bool = True, **schemas: Any) -> bool:
    made = Schemas(document(version, **schemas), sent=sent).closed(schema)
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "nullable": True}, [None, "x"], [1]),
        ({"type": "string"}, ["x"], [None]),
        ({"type": "string", "enum": ["a"], "nullable": True}, [None, "a"], ["b"]),
        ({"nullable": True, "allOf": [{"$ref": "#/components/schemas/Named"}]}, [None, {"name": "x"}], [{}, 1]),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, [0.1], [0]),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": False}, [0], [-1]),
        ({"type": "number", "maximum": 9, "exclusiveMaximum": True}, [8], [9]),
        ({"$ref": "#/components/schemas/Named", "description": "a sibling", "type": "string"}, [{"name": "x"}], ["x"]),
        ({"type": "object", "required": True, "properties": {"a": {"required": True}}}, [{}], [1]),
        ({"type": "string", "pattern": r"^\p{Lu}+$"}, ["Ä", "what Python has no word for"], [1]),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}, "x-more": 1, "example": 2},
            [{"a": 1}],
            [{"a": "b"}],
        ),
    ],
)
def test_the_dialect_of_3_0(schema: Any, good: list[Any], bad: list[Any]) -> None:
    named = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    for value in good:
        assert takes(schema, value, Named=named), value
    for value in bad:
        assert not takes(schema, value, Named=named), value


def test_3_1_is_json_schema_already() -> None:
    schema = {
        "$ref": "#/components/schemas/Base",
        "properties": {"kind": {"const": "a"}, "size": {"type": ["integer", "null"], "exclusiveMinimum": 0}},
        "unevaluatedProperties": False,
        "if": {"required": ["size"]},
        "then": {"required": ["kind"]},
    }
    base = {"type": "object", "properties": {"id": {"type": "integer"}}}
    for value, good in [
        ({"id": 1}, True),
        ({"id": "1"}, False),
        ({"size": 1}, False),
        ({"size": None, "kind": "a"}, True),
        ({"size": 0, "kind": "a"}, False),
        ({"other": 1}, False),
    ]:
        assert takes(schema, value, version="3.1.0", Base=base) is good, value


def test_recursion_stays_recursion() -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/T"}}},
    }
    made = Schemas(document(T=tree), sent=True).closed({"$ref": "#/components/schemas/T"})
    assert list(made["$defs"]) == ["T"]
    assert takes({"$ref": "#/components/schemas/T"}, {"children": [{"children": []}]}, T=tree)
    assert not takes({"$ref": "#/components/schemas/T"}, {"children": [{"children": [1]}]}, T=tree)


def test_only_what_is_reached_comes_along_and_is_shared() -> None:
    schemas = Schemas(
        document(A={"properties": {"b": {"$ref": "#/components/schemas/B"}}}, B={"type": "string"}, C={}), sent=True
    )
    first = schemas.closed({"$ref": "#/components/schemas/A"})
    second = schemas.closed({"type": "array", "items": {"$ref": "#/components/schemas/B"}})
    assert sorted(first["$defs"]) == ["A", "B"] and list(second["$defs"]) == ["B"]
    assert first["$defs"]["B"] is second["$defs"]["B"]


def test_alternatives_that_overlap_are_told_apart_by_their_discriminator() -> None:
    pet = {
        "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
        "discriminator": {"propertyName": "kind", "mapping": {"puss": "#/components/schemas/Cat", "kitten": "Cat"}},
    }
    any_animal = {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}}
    dog = {**any_animal, "required": ["kind", "bark"]}
    for value, good in [
        ({"kind": "puss"}, True),
        ({"kind": "kitten"}, True),
        ({"kind": "Dog", "bark": 1}, True),
        ({"kind": "Dog"}, False),
        ({"kind": "cow"}, False),
    ]:
        assert takes(pet, value, Cat=any_animal, Dog=dog) is good, value


def test_what_is_read_only_is_not_asked_for_and_what_is_write_only_not_answered() -> None:
    schema = {
        "type": "object",
        "required": ["id", "password"],
        "properties": {"id": {"type": "integer", "readOnly": True}, "password": {"type": "string", "writeOnly": True}},
    }
    assert takes(schema, {"password": "x"}, sent=True) and not takes(schema, {"id": 1}, sent=True)
    assert takes(schema, {"id": 1}, sent=False) and not takes(schema, {"password": "x"}, sent=False)


def test_answers_are_not_held_to_a_strangers_regular_expressions() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    assert takes(schema, "a" * 40 + "!", sent=False)
    assert not takes(schema, "b", sent=True)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://example.com/schema.json"}, "only references inside"),
        ({"type": "text"}, "`type: text` is not what type may be"),
        ({"minLength": "1"}, "minLength"),
        ({"properties": [1]}, "properties is an object"),
        ({"allOf": {}}, "allOf is a list"),
        ({"items": 3}, "a schema is an object, not int"),
        ({"$ref": "#/components/schemas/Bad"}, "#/components/schemas/Bad: a schema is an object, not str"),
        ({"$ref": "#/components/schemas/None"}, "#/components/schemas/None: a schema is an object, not NoneType"),
    ],
)
def test_what_is_no_schema_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(SchemaInvalid, match=words.replace("(", r"\(")):
        Schemas(document(Bad="x"), sent=True).closed(schema)
