"""JSON Schemas as types, and why a value of a type keeps a schema never."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import Draft202012Validator
from referencing.exceptions import Unresolvable

from factotum.procedures import schemas
from factotum.procedures.checks.types import ANY, KINDS, NEVER, NUMBERS, Type, meet, of_value, union
from factotum.procedures.expressions import escape
from factotum.procedures.shapes import Schema

Json = Any
_DEEPEST = 8
# So many parts of a schema are read: one that names itself many times would have no end.
_MOST_PARTS = 2000


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why no value of a type keeps a schema.

    Attributes:
        pointer: where in the value.
        given: what is there.
        wanted: the kinds that may be there instead; empty where it is not for its kind.
    """

    pointer: str
    message: str
    given: Type = ANY
    wanted: frozenset[str] = frozenset()


def type_of(schema: Json) -> Type:
    """A type that has every value which keeps a schema."""
    return _Reading(schema).type_of(schema, 0)


class _Reading:
    """One schema, read so far as it is not too large: what lies behind may be anything."""

    def __init__(self, root: Json) -> None:
        self.root = root
        self._left = _MOST_PARTS

    def is_enough(self, depth: int) -> bool:
        """Whether no more is to be read."""
        self._left -= 1
        return depth > _DEEPEST or self._left < 0

    def type_of(self, schema: Json, depth: int) -> Type:
        if schema is False:
            return NEVER
        if not isinstance(schema, Mapping) or self.is_enough(depth):
            return ANY
        found = self._own(schema, depth)
        if "$ref" in schema:
            found = meet(found, self.type_of(_referred(schema["$ref"], self.root), depth + 1))
        for each in schema.get("allOf", ()):
            found = meet(found, self.type_of(each, depth + 1))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                found = meet(found, union(self.type_of(each, depth + 1) for each in schema[key]))
        return found

    def _own(self, schema: Mapping[str, Json], depth: int) -> Type:
        """What a schema says without those that it is made of."""
        found = replace(ANY, kinds=kinds_of(schema))
        if "const" in schema:
            found = meet(found, of_value(schema["const"]))
        if "enum" in schema:
            found = meet(found, union(of_value(each) for each in schema["enum"]))
        properties = schema.get("properties", {})
        if "object" in found.kinds and (properties or "required" in schema or "additionalProperties" in schema):
            closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
            known = {name: self.type_of(each, depth + 1) for name, each in properties.items()}
            required = frozenset(schema.get("required", ()))
            found = meet(found, Type(properties=known, required=required, closed=closed))
        if "array" in found.kinds and "items" in schema and "prefixItems" not in schema:
            found = meet(found, Type(items=self.type_of(schema["items"], depth + 1)))
        return found


def kinds_of(schema: Mapping[str, Json]) -> frozenset[str]:
    """The kinds that a schema's `type` allows."""
    given = schema.get("type")
    if given is None:
        return KINDS
    names = frozenset((given,) if isinstance(given, str) else given)
    return names | NUMBERS if "number" in names else names


def _referred(reference: Json, root: Json) -> Json:
    """The schema that a reference inside the root means; True, which says nothing, for any other."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return True
    found = root
    for token in reference[1:].split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            return True
        found = found[key]
    return found


def conflict(type_: Type, schema: Json) -> Conflict | None:
    """Why no value of a type keeps a schema; None if one may."""
    return _conflict(type_, schema, _Reading(schema), 0)


def _conflict(type_: Type, schema: Json, root: _Reading, depth: int) -> Conflict | None:
    if schema is False:
        return Conflict("", "must not be there")
    if not isinstance(schema, Mapping) or not type_.kinds or root.is_enough(depth):
        return None
    if (
        "$ref" in schema
        and (found := _conflict(type_, _referred(schema["$ref"], root.root), root, depth + 1)) is not None
    ):
        return found
    for each in schema.get("allOf", ()):
        if (found := _conflict(type_, each, root, depth + 1)) is not None:
            return found
    for key in ("anyOf", "oneOf"):
        if key in schema:
            reasons = [_conflict(type_, each, root, depth + 1) for each in schema[key]]
            if all(reason is not None for reason in reasons):
                return _closest([reason for reason in reasons if reason is not None], type_, schema[key], root)
    return _own_conflict(type_, schema, root, depth)


def _closest(reasons: list[Conflict], type_: Type, schemas_: list[Json], root: _Reading) -> Conflict:
    """The reason of the alternative that was probably meant: the one that fails deepest."""
    deepest = max(reasons, key=lambda reason: reason.pointer.count("/"))
    if deepest.pointer:
        return deepest
    wanted = union(root.type_of(each, 0) for each in schemas_)
    return reasons[0] if type_.kinds & wanted.kinds else _of_kind(type_, wanted)


def _of_kind(given: Type, wanted: Type) -> Conflict:
    return Conflict("", f"is {given}, where {wanted} is expected", given, wanted.kinds)


def _own_conflict(type_: Type, schema: Mapping[str, Json], root: _Reading, depth: int) -> Conflict | None:
    possible = type_.only(kinds_of(schema))
    if not possible.kinds:
        return _of_kind(type_, Type(kinds_of(schema)))
    if possible.values is not None and not possible.kinds & {"object", "array"}:
        return _constants(possible, schema, root)
    if "enum" in schema or "const" in schema:
        choices = schema["enum"] if "enum" in schema else [schema["const"]]
        allowed = union(of_value(each) for each in choices)
        if not possible.kinds & allowed.kinds:
            return Conflict("", f"is {type_}, where one of {', '.join(map(str, choices))} is expected")
    reasons: list[Conflict] = []
    for kind in possible.kinds:
        reason = None
        if kind == "object":
            reason = _object(possible, schema, root, depth)
        elif kind == "array":
            reason = _array(possible, schema, root, depth)
        if reason is None:
            return None
        reasons.append(reason)
    return reasons[0] if reasons else None


def _constants(type_: Type, schema: Mapping[str, Json], root: _Reading) -> Conflict | None:
    """None of the constants that a value may be keeps the schema."""
    # References of pydantic's schemas lead to `$defs`; one that leads elsewhere says nothing here.
    definitions = {"$defs": root.root["$defs"]} if isinstance(root.root, Mapping) and "$defs" in root.root else {}
    validator = Draft202012Validator({**schema, **definitions}, registry=schemas.NOTHING_REMOTE)
    messages: list[str] = []
    for _, value in sorted(type_.values or (), key=repr):
        try:
            error = next(validator.iter_errors(value), None)
        except Unresolvable:
            return None
        if error is None:
            return None
        messages.append(error.message)
    return Conflict("", f"is never right: {messages[0]}") if messages else None


def _object(type_: Type, schema: Mapping[str, Json], root: _Reading, depth: int) -> Conflict | None:
    properties = schema.get("properties", {})
    if type_.closed:
        there = type_.properties or {}
        missing = [name for name in schema.get("required", ()) if name not in there]
        if missing:
            return Conflict("", f"has no `{missing[0]}`, which is required")
    for name in sorted(type_.required):
        own = (type_.properties or {}).get(name, ANY)
        if name in properties:
            reason = _conflict(own, properties[name], root, depth + 1)
        elif schema.get("additionalProperties") is False and not schema.get("patternProperties"):
            return Conflict("", f"has `{name}`, which is not taken")
        elif isinstance(schema.get("additionalProperties"), Mapping) and not schema.get("patternProperties"):
            reason = _conflict(own, schema["additionalProperties"], root, depth + 1)
        else:
            continue
        if reason is not None:
            return replace(reason, pointer=f"/{escape(name)}{reason.pointer}")
    return None


def _array(type_: Type, schema: Mapping[str, Json], root: _Reading, depth: int) -> Conflict | None:
    if type_.elements is None:
        return None
    count = len(type_.elements)
    if count < schema.get("minItems", 0):
        return Conflict("", f"has {count} items, where at least {schema['minItems']} are expected")
    if "maxItems" in schema and count > schema["maxItems"]:
        return Conflict("", f"has {count} items, where at most {schema['maxItems']} are expected")
    prefix = schema.get("prefixItems", ())
    for index, element in enumerate(type_.elements):
        wanted = prefix[index] if index < len(prefix) else schema.get("items", True)
        if (reason := _conflict(element, wanted, root, depth + 1)) is not None:
            return replace(reason, pointer=f"/{index}{reason.pointer}")
    return None


def declared(schema: Schema | None) -> Type:
    """What a schema says of a value that kept it."""
    if schema is None or schema.document is None or schemas.fault_of(schema.document) is not None:
        return ANY
    return type_of(schema.document)


def remedy(found: Conflict) -> str:
    """How a value of the wrong kind is made right."""
    given, wanted = found.given.kinds, found.wanted
    if not wanted or not given:
        return "Give it another value"
    if "null" in given:
        return "Give it a value where there is none: `… // …`"
    if "array" in given:
        return "Give it one item, as `….[0]` or with `for`"
    if "string" in wanted and given <= NUMBERS | {"boolean"}:
        return "Make it a text: `… | tostring`"
    if wanted & NUMBERS and given == {"string"}:
        return "Make it a number: `… | tonumber`"
    if "array" in wanted:
        return "Make it an array: `[…]`"
    if given == {"object"}:
        return "Give it one of the object's properties"
    return "Give it another value"
