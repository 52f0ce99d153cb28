"""What can be known of a JSON value without having it.

A type stands for a set of values that is never smaller than the true one: where nothing is known it is
`ANY`. So what no value of a type can do, no value in a run can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Json = Any

# A number without a fraction is an `integer`, as in JSON Schema, and any other a `number`.
KINDS = frozenset(("null", "boolean", "integer", "number", "string", "array", "object"))
NUMBERS = frozenset(("integer", "number"))
_MANY = 16
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Type:
    """A set of values.

    Attributes:
        kinds: of which kinds they may be.
        values: the only constants that they may be, as (kind, constant); None if there may be others.
        properties: of the objects, what is known of each property; a property that is not named may be
            anything, or in a `closed` object is not there.
        required: the properties that are certainly there.
        items: of the arrays, what each item is.
        elements: of the arrays, each item by itself, which gives their length; None if that is not known.
    """

    kinds: frozenset[str] = KINDS
    values: frozenset[tuple[str, Json]] | None = None
    properties: Mapping[str, Type] | None = None
    required: frozenset[str] = frozenset()
    closed: bool = False
    items: Type | None = None
    elements: tuple[Type, ...] | None = None

    def only(self, kinds: Iterable[str]) -> Type:
        """The values that are of these kinds."""
        kept = self.kinds & frozenset(kinds)
        values = None if self.values is None else frozenset(each for each in self.values if each[0] in kept)
        return replace(self, kinds=kept, values=values)

    def without(self, *kinds: str) -> Type:
        return self.only(self.kinds.difference(kinds))

    @property
    def item(self) -> Type:
        """What an item of the arrays may be."""
        if self.elements is not None:
            return union(self.elements)
        return self.items or ANY

    def property(self, name: str) -> Type:
        """What a property of the objects may be; null where it is not there."""
        found = (self.properties or {}).get(name)
        if found is None:
            return NULL if self.closed else ANY
        return found if name in self.required else join(found, NULL)

    def __str__(self) -> str:
        """In words, e.g. `a text`."""
        kinds = self.kinds - {"number"} if self.kinds >= NUMBERS else self.kinds
        names = [_WORDS[kind] for kind in _WORDS if kind in kinds]
        if self.kinds >= NUMBERS:
            names = ["a number" if name == _WORDS["integer"] else name for name in names]
        return " or ".join(names) or "nothing"


_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}

ANY = Type()
NEVER = Type(frozenset())
NULL = Type(frozenset(("null",)), frozenset((("null", None),)))
STRING = Type(frozenset(("string",)))
BOOLEAN = Type(frozenset(("boolean",)))
NUMBER = Type(NUMBERS)
INTEGER = Type(frozenset(("integer",)))
OBJECT = Type(frozenset(("object",)))
ARRAY = Type(frozenset(("array",)))


def array_of(items: Type) -> Type:
    return replace(ARRAY, items=items)


def object_of(properties: Mapping[str, Type], *, closed: bool = True, required: Iterable[str] | None = None) -> Type:
    """Objects with these properties, all of them there unless `required` names fewer."""
    names = properties if required is None else required
    return replace(OBJECT, properties=dict(properties), required=frozenset(names), closed=closed)


def kind_of(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) or value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


def of_value(value: Json) -> Type:
    """The type of one value."""
    kind = kind_of(value)
    if kind == "object":
        return object_of({str(name): of_value(inner) for name, inner in value.items()})
    if kind == "array":
        return replace(ARRAY, elements=tuple(of_value(inner) for inner in value))
    return Type(frozenset((kind,)), frozenset(((kind, value),)))


def union(types: Iterable[Type]) -> Type:
    found = NEVER
    for each in types:
        found = join(found, each)
    return found


def join(one: Type, other: Type, depth: int = 0) -> Type:
    """The values of either."""
    # Not `==`: what a few exports make of one another is small as it is held, and endless as it is compared.
    if one is other or not other.kinds:
        return one
    if not one.kinds:
        return other
    if depth > _DEEPEST:
        return ANY
    kinds = one.kinds | other.kinds
    values = None
    if one.values is not None and other.values is not None and len(one.values | other.values) <= _MANY:
        values = one.values | other.values
    found = Type(kinds, values)
    if "object" in kinds:
        found = _join_objects(found, *(each for each in (one, other) if "object" in each.kinds), depth=depth)
    if "array" in kinds:
        found = _join_arrays(found, *(each for each in (one, other) if "array" in each.kinds), depth=depth)
    return found


def _join_objects(found: Type, one: Type, other: Type | None = None, *, depth: int) -> Type:
    if other is None:
        return replace(found, properties=one.properties, required=one.required, closed=one.closed)
    properties: dict[str, Type] = {}
    for name in {**(one.properties or {}), **(other.properties or {})}:
        here, there = (one.properties or {}).get(name), (other.properties or {}).get(name)
        if here is not None and there is not None:
            properties[name] = join(here, there, depth + 1)
        elif (one if here is None else other).closed:
            properties[name] = here or there or ANY
    closed = one.closed and other.closed
    return replace(found, properties=properties, required=one.required & other.required, closed=closed)


def _join_arrays(found: Type, one: Type, other: Type | None = None, *, depth: int) -> Type:
    if other is None:
        return replace(found, items=one.items, elements=one.elements)
    if one.elements is not None and other.elements is not None and len(one.elements) == len(other.elements):
        pairs = zip(one.elements, other.elements, strict=True)
        return replace(found, elements=tuple(join(here, there, depth + 1) for here, there in pairs))
    return replace(found, items=join(one.item, other.item, depth + 1))


def meet(one: Type, other: Type, depth: int = 0) -> Type:
    """The values of both, or more: what is known of each is kept."""
    if one is other or depth > _DEEPEST or other == ANY:
        return one
    if one == ANY:
        return other
    values = other.values if one.values is None else one.values
    if one.values is not None and other.values is not None:
        values = one.values & other.values
    found = Type(one.kinds & other.kinds, values)
    if "object" in found.kinds:
        properties = {**(one.properties or {}), **(other.properties or {})}
        for name in (one.properties or {}).keys() & (other.properties or {}).keys():
            properties[name] = meet((one.properties or {})[name], (other.properties or {})[name], depth + 1)
        known = one.properties is not None or other.properties is not None
        found = replace(
            found,
            properties=properties if known else None,
            required=one.required | other.required,
            closed=one.closed or other.closed,
        )
    if "array" in found.kinds:
        elements = one.elements if one.elements is not None else other.elements
        items = one.items if other.items is None else other.items
        if one.items is not None and other.items is not None:
            items = meet(one.items, other.items, depth + 1)
        found = replace(found, items=items, elements=elements)
    return found
