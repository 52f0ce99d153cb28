"""From text to a typed document, remembering where everything stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from factotum.procedures import structure, values
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.model import Document
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
        faults = [structure.fault_of(dict(found)) for found in error.errors(include_url=False)]
        raise FaultyDocument([_locate(fault, places or {}) for fault in faults]) from error


def _locate(fault: Fault, places: Mapping[str, Place]) -> Fault:
    pointer = fault.pointer
    while pointer and pointer not in places:
        pointer = pointer.rpartition("/")[0]
    line, column = places.get(pointer, (0, 0))
    return replace(fault, line=line, column=column)
