"""Whether a collection that is there has the columns that this release writes and reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pymilvus import CollectionSchema, DataType

Column = Mapping[str, Any]

# Sizes of which more do no harm; `dim` has to be the same.
_SIZES: Final = ("max_length", "max_capacity")


def faults(expected: CollectionSchema, found: Sequence[Column]) -> list[str]:
    """What is wrong, in words; columns as `describe_collection` gives them."""
    wanted: dict[str, Column] = {column["name"]: column for column in expected.to_dict()["fields"]}
    there = {column["name"]: column for column in found}
    result = missing(wanted, found)
    for name, column in wanted.items():
        if name in there:
            result += _differences(name, column, there[name])
    made = {name for function in expected.functions for name in function.output_field_names}
    result += [
        f"`{name}` is not made by the server from the words"
        for name in sorted(made & there.keys())
        if not there[name].get("is_function_output")
    ]
    return result + [
        f"it wants a column `{name}`"
        for name, column in there.items()
        if name not in wanted and not column.get("nullable") and column.get("default_value") is None
    ]


def missing(names: Iterable[str], found: Sequence[Column]) -> list[str]:
    there = {column["name"] for column in found}
    return [f"it lacks the column `{name}`" for name in names if name not in there]


def _differences(name: str, wanted: Column, there: Column) -> list[str]:
    if there["type"] != wanted["type"] or there.get("element_type") != wanted.get("element_type"):
        return [f"`{name}` is {_type(there)} and not {_type(wanted)}"]
    result = []
    if bool(there.get("is_primary")) != bool(wanted.get("is_primary")):
        result.append(f"`{name}` is {'' if there.get('is_primary') else 'not '}its primary key")
    sizes, wide = there.get("params", {}), wanted.get("params", {})
    if "dim" in wide and int(sizes.get("dim", 0)) != wide["dim"]:
        result.append(f"`{name}` has vectors of {sizes.get('dim')} numbers and not of {wide['dim']}")
    result += [
        f"`{name}` has a {size} of {sizes.get(size)} and not of {wide[size]}"
        for size in _SIZES
        if size in wide and int(sizes.get(size, 0)) < wide[size]
    ]
    return result


def _type(column: Column) -> str:
    kind = DataType(column["type"]).name
    return f"{kind} of {DataType(column['element_type']).name}" if column.get("element_type") else kind
