"""From what happened to what is remembered: an event becomes a record, told in plain words. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, KIND_OBSERVATION, Kind, Record
from factotum.events.envelope import Event, describe, utc
from factotum.events.redaction import without_secrets
from factotum.events.types import OBSERVATION_TYPE, OUTCOME_TYPE, ObservationData, OutcomeData
from factotum.memory.errors import InvalidRequest, NotAMemory
from factotum.memory.records import MAX_TEXT_BYTES, completed, derived_id

# Tools of this name answer with memories; to keep those would feed the memory with itself.
OWN_TOOLS = "memory."
CUT_MARK = " … [cut]"
MAX_DETAILS = 40
MAX_DETAIL_CHARACTERS = 200
MAX_FAILURE_CHARACTERS = 2000

_FULL_NAMES = ("displayName", "fullName", "formatted", "display_name", "full_name")
_PARTS_OF_NAMES = (("firstName", "lastName"), ("givenName", "familyName"), ("first_name", "last_name"))


def memory_of(event: Event) -> Record | None:
    """The record of an observation or an outcome, complete; None if it is not to be kept.

    The same event always gives the same id, and a run has one episode. Raises `NotAMemory`.
    """
    try:
        if event.type == OUTCOME_TYPE:
            outcome = OutcomeData.model_validate(event.data)
            record, ended = _episode(event.tenant, outcome), outcome.ended_at
        elif event.type == OBSERVATION_TYPE:
            observation = ObservationData.model_validate(event.data)
            if observation.tool.startswith(OWN_TOOLS):
                return None
            record, ended = _observation(event, observation), observation.ended_at
        else:
            raise NotAMemory(f"events of type {event.type!r} are not remembered")
        record.origin = event.id
        record.created_at.FromDatetime(utc(ended))
        return completed(event.tenant, record, utc(ended))
    except ValidationError as error:
        raise NotAMemory(f"data: {describe(error)}") from error
    except InvalidRequest as error:
        raise NotAMemory(str(error)) from error
    except ValueError as error:
        if isinstance(error, NotAMemory):
            raise
        raise NotAMemory(f"data: {error}") from error


def _episode(tenant: str, outcome: OutcomeData) -> Record:
    name = _procedure(outcome.procedure)
    told = [f"{name[:1].upper()}{name[1:]}"]
    if subject := _name_in(outcome.input) or _name_in(outcome.output):
        told.append(f"of {subject}")
    told.append(f"{outcome.status} on {utc(outcome.ended_at):%Y-%m-%d %H:%M} UTC")
    if outcome.event_type:
        told.append(f"(event {outcome.event_type})")
    sentences = [" ".join(told) + "."]
    if outcome.failure:
        sentences.append(f"Reason: {_shortened(outcome.failure, MAX_FAILURE_CHARACTERS)}.")
    if outcome.compensated:
        sentences.append(f"Undone: {', '.join(_step(step) for step in outcome.compensated)}.")
    if outcome.tasks:
        left = ", ".join(f"{task.kind} {_step(task.step)}" for task in outcome.tasks[:MAX_DETAILS])
        sentences.append(f"Left to people: {left}.")
    for title, value in (("Given", _without_envelopes(outcome.input)), ("Result", outcome.output)):
        if details := _details(value):
            sentences.append(f"{title}: {details}.")
    if outcome.note:
        sentences.append(f"{outcome.note[:1].upper()}{outcome.note[1:]}.")
    return _record(
        KIND_EPISODE,
        derived_id(tenant, "episode", outcome.run_id),
        " ".join(sentences),
        outcome.run_id,
        {
            **_fields(outcome, "procedure", "procedure_version", "event_type", "status"),
            "failure": _shortened(outcome.failure, MAX_FAILURE_CHARACTERS),
            "compensated": outcome.compensated[:MAX_DETAILS],
            "started_at": _time(outcome.started_at),
            "ended_at": _time(outcome.ended_at),
        },
    )


def _observation(event: Event, observation: ObservationData) -> Record:
    sentences = [observation.note] if observation.note else []
    if observation.tool:
        asked = _details(observation.arguments)
        sentences.append(f"{observation.tool} with {asked}." if asked else f"{observation.tool}.")
        if observation.error is not None:
            reason = _shortened(observation.error.message, MAX_FAILURE_CHARACTERS)
            sentences.append(f"Failed ({observation.error.kind}): {reason}.")
        else:
            sentences.append(f"Answered: {_details(observation.output) or 'nothing'}.")
    if observation.procedure:
        sentences.append(f"A step of {_procedure(observation.procedure)}.")
    return _record(
        KIND_OBSERVATION,
        derived_id(event.tenant, "observation", event.source, event.id),
        " ".join(sentences),
        observation.run_id,
        {
            **_fields(observation, "tool", "tool_version", "effect", "step", "iteration", "procedure", "replayed"),
            "error": "" if observation.error is None else observation.error.kind,
            "started_at": _time(observation.started_at),
            "ended_at": _time(observation.ended_at),
        },
    )


def _record(kind: Kind.ValueType, identity: str, text: str, run_id: str, attributes: dict[str, Any]) -> Record:
    kept = cut(text)
    if kept != text:
        attributes["cut"] = True
    return Record(
        id=identity, kind=kind, text=kept, run_id=run_id, attributes_json=json.dumps(attributes, ensure_ascii=False)
    )


def cut(text: str) -> str:
    """The text in at most `MAX_TEXT_BYTES` of UTF-8; a longer one ends with a mark that says so."""
    encoded = text.encode()
    if len(encoded) <= MAX_TEXT_BYTES:
        return text
    return encoded[: MAX_TEXT_BYTES - len(CUT_MARK.encode())].decode(errors="ignore") + CUT_MARK


def _name_in(value: Any) -> str:
    """The first name of a person or thing found in it, breadth first; empty if there is none."""
    level = [value]
    while level:
        for item in level:
            if isinstance(item, dict) and (name := _own_name(item)):
                return name
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return ""


def _own_name(item: dict[str, Any]) -> str:
    for key in _FULL_NAMES:
        if isinstance(item.get(key), str) and item[key].strip():
            return _shortened(item[key], MAX_DETAIL_CHARACTERS)
    for first, last in _PARTS_OF_NAMES:
        if isinstance(item.get(first), str) and isinstance(item.get(last), str):
            return _shortened(f"{item[first]} {item[last]}", MAX_DETAIL_CHARACTERS)
    return ""


def _details(value: Any) -> str:
    """The scalars in it as `name value, name value`, the first `MAX_DETAILS` of them."""
    told: list[str] = []
    for path, leaf in _leaves(without_secrets(value), ()):
        if len(told) == MAX_DETAILS:
            told.append("…")
            break
        # The last two names tell apart `manager email` from `employee email`.
        label = " ".join(map(_words, path[-2:]))
        told.append(f"{label} {_shortened(leaf, MAX_DETAIL_CHARACTERS)}".strip())
    return ", ".join(told)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif isinstance(value, bool):
        yield path, "yes" if value else "no"
    elif value is not None and str(value).strip():
        yield path, str(value)


def _shortened(text: str, longest: int) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _words(name: str) -> str:
    """`workEmail`, `work_email` and `work-email` as `work email`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[-_:]+", " ", name)).lower().strip()


def _procedure(full_name: str) -> str:
    """`employee onboarding` of `hr/employee-onboarding`."""
    return _words(full_name.rpartition("/")[2])


def _without_envelopes(value: Any) -> Any:
    """The input of a run that events started: what they say, without their ids, sources and types."""
    if isinstance(value, list):
        return [item.get("data") if isinstance(item, dict) and "specversion" in item else item for item in value]
    return value


def _step(pointer: str) -> str:
    """The name at the end of a JSON pointer, e.g. `create account` of `/do/0/createAccount`."""
    return _words(pointer.rstrip("/").rpartition("/")[2]) or pointer


def _time(moment: datetime) -> str:
    return utc(moment).isoformat()


def _fields(data: BaseModel, *names: str) -> dict[str, Any]:
    return {name: getattr(data, name) for name in names}
