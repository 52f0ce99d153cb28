"""What pydantic finds wrong with a document's structure, in the words of the language."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from factotum.procedures.checks import nearest
from factotum.procedures.duration import Duration
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault
from factotum.procedures.shapes import Closed
from factotum.procedures.tasks import TASKS


def fault_of(error: Mapping[str, Any]) -> Fault:
    """The fault of one of a `ValidationError`'s `errors()`, its context included; without a place."""
    tokens = [str(token) for token in error["loc"]]
    pointer = "".join(f"/{escape(token)}" for token in tokens)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        advice = nearest.among(tokens[-1], _properties())
        if not advice.startswith("Did"):
            advice = "Check its spelling and its indentation"
        return Fault(pointer, f"`{tokens[-1]}` is not a property here", advice)
    if kind == "missing":
        return Fault(pointer.rpartition("/")[0], f"`{tokens[-1]}` is missing", f"Add `{tokens[-1]}:`")
    if kind == "task":
        return Fault(pointer, str(error["msg"]), _nearest_kind(error["input"]))
    if kind == "literal_error":
        return Fault(pointer, f"must be {str(context['expected']).replace(chr(39), '`')}")
    words = _WORDS.get(kind)
    message = str(error["msg"]) if words is None else words.format_map(context)
    return Fault(pointer, message, _ADVICE.get(kind, ""))


# By the type of a pydantic error, with the names of its context.
_WORDS = {
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must match `{pattern}`",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must have at least one entry",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
}

# How a value of the wrong kind is mended.
_ADVICE = {
    "string_type": "Write a text, in quotes if it looks like a number, a date or a truth value",
    "string_pattern_mismatch": "Write it so that it matches",
    "int_type": "Write a whole number, without quotes",
    "int_parsing": "Write a whole number, without quotes",
    "bool_parsing": "Write `true` or `false`, without quotes",
    "bool_type": "Write `true` or `false`, without quotes",
    "dict_type": "Write `name: value` pairs, indented below it",
    "mapping_type": "Write `name: value` pairs, indented below it",
    "model_type": "Write `name: value` pairs, indented below it",
    "tuple_type": "Write a list: each item on a line of its own, after `- `",
    "list_type": "Write a list: each item on a line of its own, after `- `",
    "items": "Each item stands on a line of its own, after `- `, under a name of its own",
    "duration": "Write ISO 8601 such as PT15M, {minutes: 15}, or an expression in `${ }`",
    "too_short": "Add one",
    "consumption": "Take out the others",
    "schedule": "Take out the others",
}


def _nearest_kind(body: object) -> str:
    """What a task without a kind was probably meant to be."""
    for key in body if isinstance(body, Mapping) else ():
        advice = nearest.among(str(key), TASKS)
        if advice.startswith("Did"):
            return advice
    return "Name what it does"


@cache
def _properties() -> frozenset[str]:
    """The names of all properties that the language has."""
    found: set[str] = set()
    models: list[type[BaseModel]] = [Closed, Duration]
    while models:
        model = models.pop()
        models += model.__subclasses__()
        found |= {each.alias or name for name, each in model.model_fields.items()}
    return frozenset(found)
