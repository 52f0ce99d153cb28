"""What jq's operators make of types."""

from __future__ import annotations

from dataclasses import replace

from factotum.procedures.checks.types import (
    ANY,
    ARRAY,
    NEVER,
    NUMBER,
    NUMBERS,
    STRING,
    Type,
    array_of,
    join,
    object_of,
    union,
)


def each_of(base: Type) -> Type:
    """What `.[]` gives."""
    found = NEVER
    if "array" in base.kinds:
        found = join(found, base.item)
    if "object" in base.kinds:
        found = join(found, union((base.properties or {}).values()) if base.closed else ANY)
    return found


def truthy(type_: Type) -> Type:
    kept = type_.without("null")
    return kept.without("boolean") if kept.values is not None and ("boolean", True) not in kept.values else kept


def sum_of(left: Type, right: Type) -> Type:
    """What `+` gives of values that are not `apart`."""
    if left.kinds == {"null"}:
        return right
    if right.kinds == {"null"}:
        return left
    if all_numbers(left) and all_numbers(right):
        return NUMBER
    if left.kinds == right.kinds == {"string"}:
        return STRING
    if left.kinds == right.kinds == {"array"}:
        if left.elements is not None and right.elements is not None:
            return replace(ARRAY, elements=left.elements + right.elements)
        return array_of(join(left.item, right.item))
    if left.kinds == right.kinds == {"object"}:
        return merged(left, right)
    return ANY


def all_numbers(type_: Type) -> bool:
    return bool(type_.kinds) and type_.kinds <= NUMBERS


def apart(left: Type, right: Type) -> bool:
    """Whether jq can never add these."""
    if not left.kinds or not right.kinds or "null" in left.kinds | right.kinds:
        return False
    return not (_families(left) & _families(right))


def _families(type_: Type) -> frozenset[str]:
    return frozenset("number" if kind in NUMBERS else kind for kind in type_.kinds - {"boolean"})


def merged(left: Type, right: Type) -> Type:
    properties = {**(left.properties or {})}
    for name, there in (right.properties or {}).items():
        here = left.property(name) if name in properties or left.closed else ANY
        properties[name] = there if name in right.required else join(here, there)
    if not right.closed:
        # What is not known of the right may stand in the place of anything on the left.
        properties = {name: there for name, there in properties.items() if name in (right.properties or {})}
    closed = left.closed and right.closed
    return object_of(properties, closed=closed, required=(left.required | right.required) & properties.keys())
