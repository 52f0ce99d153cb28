"""JSON Schemas inside documents: nothing is fetched, so every reference must point into the schema itself."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from factotum.procedures import patterns

# An empty registry retrieves nothing: a validator given this never opens a connection.
NOTHING_REMOTE: Registry[Any] = Registry()


def fault_of(schema: dict[str, Any]) -> str | None:
    """Why the schema cannot be used; None if it can."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"not a JSON Schema: {error.message}"
    resolver = NOTHING_REMOTE.resolver_with_root(DRAFT202012.create_resource(schema))
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            return f"`$ref: {reference}` leads nowhere inside the schema; nothing is fetched from elsewhere"
    for pattern in _patterns(schema):
        if (fault := patterns.fault_of(pattern)) is not None:
            return fault
    return None


def _patterns(value: Any) -> list[str]:
    """Every regular expression that a schema may apply; perhaps a text more, which only looks like one."""
    if isinstance(value, dict):
        own = [value["pattern"]] if isinstance(value.get("pattern"), str) else []
        named = value.get("patternProperties")
        own += [name for name in named if isinstance(name, str)] if isinstance(named, dict) else []
        return own + [found for inner in value.values() for found in _patterns(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _patterns(inner)]
    return []


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in _references(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _references(inner)]
    return []
