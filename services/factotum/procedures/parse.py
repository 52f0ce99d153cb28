"""From text to a typed document, remembering where everything stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from factotum.procedures import values
from factotum.procedures.checks import nearest
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.model import Document
from factotum.procedures.shapes import Closed
from factotum.procedures.tasks import TASKS
from factotum.procedures.values import Place

# An event or a model may bring a document; more than this is no procedure that a person could read.
MAX_BYTES = 1024 * 1024


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
    raw, places = values.read(text)
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
