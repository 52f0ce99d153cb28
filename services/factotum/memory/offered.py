"""What services offer, tools and procedures, as it is remembered: one record each, by its name. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ValidationError

from factotum.api.memory.v1.memory_pb2 import KIND_PROCEDURE, KIND_TOOL, TRUST_SYSTEM, Kind, Record
from factotum.events.envelope import Event, describe
from factotum.events.types import PROCEDURE_TYPE, TOOL_TYPE, OfferedData, ProcedureData, ToolData
from factotum.memory.errors import NotAMemory
from factotum.memory.records import completed, derived_id
from factotum.memory.telling import cut, procedure_words, shortened, words

OFFERS = frozenset({TOOL_TYPE, PROCEDURE_TYPE})
# Of one tool or procedure in the attributes.
MOST_NAMES = 50
LONGEST_TEXT = 200
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Offered:
    """All that a service, named by `origin`, offers of a kind: the ids of their records."""

    kind: str
    origin: str
    ids: frozenset[str]


def offer_of(event: Event) -> Record:
    """The record of a tool or a procedure, without a time, so that one that is told again stands as it is.

    Raises `NotAMemory`, `ValidationError`, `InvalidRequest`.
    """
    if event.type == TOOL_TYPE:
        tool = ToolData.model_validate(event.data)
        record = _record(event, KIND_TOOL, tool, _of_tool(tool))
    else:
        procedure = ProcedureData.model_validate(event.data)
        record = _record(event, KIND_PROCEDURE, procedure, _of_procedure(procedure))
    # Only to see that it can be: the time is the keeping's.
    completed(event.tenant, record, _ANY_TIME)
    return record


def offered_by(event: Event) -> Offered:
    """Raises `NotAMemory`."""
    try:
        data = OfferedData.model_validate(event.data)
    except ValidationError as error:
        raise NotAMemory(f"data: {describe(error)}") from error
    return Offered(data.kind, event.source, frozenset(_id(event.tenant, data.kind, name) for name in data.names))


def _record(event: Event, kind: Kind.ValueType, data: ToolData | ProcedureData, sentences: Sequence[str]) -> Record:
    named = Kind.Name(kind).removeprefix("KIND_").lower()
    return Record(
        id=_id(event.tenant, named, data.name),
        kind=kind,
        text=cut(" ".join(sentences)),
        origin=event.source,
        trust=TRUST_SYSTEM,
        attributes_json=json.dumps(_attributes(data), ensure_ascii=False),
    )


def _id(tenant: str, kind: str, name: str) -> str:
    return derived_id(tenant, "offered", kind, name)


def _of_tool(tool: ToolData) -> list[str]:
    told = [f"{tool.name} ({words(tool.name.replace('.', ' '))}): {_sentence(tool.description)}"]
    if tool.inputs:
        told.append(f"Takes {', '.join(map(words, tool.inputs))}.")
    if tool.examples:
        told.append(f"For example: {'; '.join(tool.examples)}.")
    return told


def _of_procedure(procedure: ProcedureData) -> list[str]:
    about = " ".join(_sentence(text) for text in (procedure.title, procedure.summary) if text)
    told = [f"{procedure.name} ({procedure_words(procedure.name)}): {about}".rstrip(": ")]
    if procedure.triggers:
        told.append(f"Started by {', '.join(procedure.triggers)}.")
    if procedure.tools:
        told.append(f"Uses {', '.join(procedure.tools)}.")
    return told


def _attributes(data: BaseModel) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in data.model_dump(exclude_defaults=True).items():
        if name != "description":
            found[name] = (
                [shortened(each, LONGEST_TEXT) for each in value[:MOST_NAMES]]
                if isinstance(value, list)
                else shortened(value, LONGEST_TEXT)
            )
    return found


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
