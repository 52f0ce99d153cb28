"""From text to a typed document, remembering where everything stood."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from factotum.procedures.checks import nearest
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.model import Document
from factotum.procedures.shapes import Closed
from factotum.procedures.tasks import TASKS

# An event or a model may bring a document; more than this is no procedure that a person could read.
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """A document with its origin.

    Attributes:
        raw: the document as JSON values, which is what travels inside a run's input.
        places: (line, column), 1-based, of every JSON pointer.
    """

    document: Document
    raw: dict[str, Any]
    places: Mapping[str, Place] = field(default_factory=dict)

    def locate(self, fault: Fault) -> Fault:
        """The fault with its line and column, or those of the nearest enclosing pointer."""
        return _locate(fault, self.places)


def parse(text: str) -> Source:
    """Reads YAML or JSON text. Raises `FaultyDocument` with every structural fault."""
    if len(text.encode()) > MAX_BYTES:
        raise FaultyDocument([Fault("", f"the document is larger than {MAX_BYTES} bytes")])
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        places: dict[str, Place] = {}
        raw = _value(node, "", places, 0) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        advice = "Check the indentation, and put quotes around what holds `: `, `#`, `{` or `[`"
        raise FaultyDocument([Fault("", f"not YAML: {error.problem}", advice, line, column)]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise FaultyDocument([Fault("", f"not YAML: {error}")]) from error
    if not isinstance(raw, dict):
        raise FaultyDocument([Fault("", "a document must be a mapping with `document:` and `do:`")])
    return parse_raw(raw, places)


def parse_raw(raw: Mapping[str, Any], places: Mapping[str, Place] | None = None) -> Source:
    """As `parse`, for JSON values. Raises `FaultyDocument`."""
    try:
        return Source(Document.model_validate(raw), dict(raw), places or {})
    except ValidationError as error:
        faults = [_fault(dict(found)) for found in error.errors(include_url=False, include_context=False)]
        raise FaultyDocument([_locate(fault, places or {}) for fault in faults]) from error


def _value(node: yaml.Node, pointer: str, places: dict[str, Place], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    places[pointer] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark)
            below = f"{pointer}/{escape(key)}"
            found[key] = _value(value_node, below, places, depth + 1)
            places[below] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, f"{pointer}/{index}", places, depth + 1) for index, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    # JSON has no dates: what YAML would make one stays the text that it is.
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value
    value = yaml.CSafeLoader.construct_object(_constructor, node)
    if value is not None and not isinstance(value, str | bool | int | float):
        raise yaml.MarkedYAMLError(problem=f"JSON has no {node.tag.rpartition(':')[2]}", problem_mark=node.start_mark)
    if isinstance(value, float) and not math.isfinite(value):
        raise yaml.MarkedYAMLError(problem="JSON has no infinity and no NaN", problem_mark=node.start_mark)
    return value


_constructor = yaml.CSafeLoader("")


def _fault(error: dict[str, Any]) -> Fault:
    tokens = [str(token) for token in error["loc"] if not str(token).startswith("function-")]
    pointer = "".join(f"/{escape(token)}" for token in tokens)
    if error["type"] == "extra_forbidden":
        advice = nearest.among(tokens[-1], _properties())
        if not advice.startswith("Did"):
            advice = "Check its spelling and its indentation"
        return Fault(pointer, f"`{tokens[-1]}` is not a property here", advice)
    if error["type"] == "missing":
        return Fault(pointer.rpartition("/")[0], f"`{tokens[-1]}` is missing", f"Add `{tokens[-1]}:`")
    if error["type"] == "task":
        return Fault(pointer, str(error["msg"]), _nearest_kind(error["input"]))
    return Fault(pointer, str(error["msg"]), _ADVICE.get(error["type"], ""))


# By the type of a pydantic error: how a value of the wrong kind is mended.
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
    models: list[type[BaseModel]] = [Closed]
    while models:
        model = models.pop()
        models += model.__subclasses__()
        found |= {each.alias or name for name, each in model.model_fields.items()}
    return frozenset(found)


def _locate(fault: Fault, places: Mapping[str, Place]) -> Fault:
    pointer = fault.pointer
    while pointer and pointer not in places:
        pointer = pointer.rpartition("/")[0]
    line, column = places.get(pointer, (0, 0))
    return replace(fault, line=line, column=column)
