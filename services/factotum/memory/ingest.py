"""From what happened to what is remembered: an event becomes a record, told in plain words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from factotum.api.memory.v1.memory_pb2 import (
    KIND_EPISODE,
    KIND_OBSERVATION,
    KIND_THOUGHT,
    TRUST_SYSTEM,
    Kind,
    Provenance,
    Record,
)
from factotum.events.envelope import Event, describe, utc
from factotum.events.redaction import without_secrets
from factotum.events.types import OBSERVATION_TYPE, OUTCOME_TYPE, ObservationData, OutcomeData
from factotum.memory import story
from factotum.memory.errors import InvalidRequest, NotAMemory
from factotum.memory.offered import OFFERS, offer_of
from factotum.memory.records import MAX_STEP_CHARACTERS, completed, derived_id
from factotum.memory.subjects import subjects_of
from factotum.memory.telling import MAX_DETAILS, cut, details, name_in, procedure_words, shortened, step_words

MAX_FAILURE_CHARACTERS = 2000
MAX_CHOICES = 20
# A longer argument is content and not a choice, and so is what has a longer name.
MAX_CHOICE_CHARACTERS = 64

# Of what is not as its kind's rule says: a read is looked up again, an effect stays and a failure teaches.
EFFECT_IMPORTANCE = 0.4
FAILURE_IMPORTANCE = 0.5
FAILED_RUN_IMPORTANCE = 0.7
LEFT_TO_PEOPLE_IMPORTANCE = 0.8


def memory_of(event: Event) -> Record:
    """The record of an observation, an outcome, a tool or a procedure, complete but for what `Keeping` alone knows: a
    step's place in its run, the time of what holds now.

    What a tool was called with and answered is an observation, what the planner noted by itself (no tool) a thought,
    how a run ended an episode. The same event always gives the same id, and a run has one episode; a tool and a
    procedure have one record each. Raises `NotAMemory`.
    """
    try:
        if event.type in OFFERS:
            return offer_of(event)
        if event.type == OUTCOME_TYPE:
            outcome = OutcomeData.model_validate(event.data)
            record, ended = _episode(event.tenant, outcome), outcome.ended_at
        elif event.type == OBSERVATION_TYPE:
            observation = ObservationData.model_validate(event.data)
            record, ended = _observation(event, observation), observation.ended_at
        else:
            raise NotAMemory(f"events of type {event.type!r} are not remembered")
        record.origin = event.id
        # What the services tell is a system's word, also that of a planner that chose by triggers: no model spoke.
        record.trust = TRUST_SYSTEM
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
    name, given = procedure_words(outcome.procedure), _without_envelopes(outcome.input)
    told = [f"{name[:1].upper()}{name[1:]}"]
    if subject := name_in(outcome.input) or name_in(outcome.output):
        told.append(f"of {subject}")
    told.append(f"{outcome.status} on {utc(outcome.ended_at):%Y-%m-%d %H:%M} UTC")
    if outcome.event_type:
        told.append(f"(event {outcome.event_type})")
    sentences = [" ".join(told) + "."]
    if outcome.goal:
        sentences.append(f"Goal: {shortened(outcome.goal, MAX_FAILURE_CHARACTERS)}.")
    if outcome.failure:
        sentences.append(f"Reason: {shortened(outcome.failure, MAX_FAILURE_CHARACTERS)}.")
    if outcome.compensated:
        sentences.append(f"Undone: {', '.join(step_words(step) for step in outcome.compensated)}.")
    if outcome.tasks:
        left = ", ".join(f"{task.kind} {step_words(task.step)}" for task in outcome.tasks[:MAX_DETAILS])
        sentences.append(f"Left to people: {left}.")
    if outcome.lesson:
        sentences.append(f"Lesson: {shortened(outcome.lesson, MAX_FAILURE_CHARACTERS)}.")
    for title, value in (("Given", given), ("Result", outcome.output)):
        if told_of := details(value):
            sentences.append(f"{title}: {told_of}.")
    sentences.extend(story.sentences(outcome))
    if outcome.note:
        sentences.append(f"{outcome.note[:1].upper()}{outcome.note[1:]}.")
    record = _record(
        KIND_EPISODE,
        derived_id(tenant, "episode", outcome.run_id),
        sentences,
        outcome.run_id,
        {
            **_fields(outcome, "procedure", "procedure_version", "event_type", "status"),
            "failure": shortened(outcome.failure, MAX_FAILURE_CHARACTERS),
            "compensated": outcome.compensated[:MAX_DETAILS],
            "started_at": _time(outcome.started_at),
            "ended_at": _time(outcome.ended_at),
            **story.attributes(outcome),
        },
    )
    left_to_people = [task.arguments for task in outcome.tasks]
    about = subjects_of(given, outcome.output, left_to_people, outcome.failure, without=[outcome.run_id])
    record.subjects.extend(about)
    if outcome.tasks:
        record.importance = LEFT_TO_PEOPLE_IMPORTANCE
    elif outcome.status != "completed":
        record.importance = FAILED_RUN_IMPORTANCE
    return record


def _observation(event: Event, observation: ObservationData) -> Record:
    error = observation.error
    sentences = [observation.note] if observation.note else []
    if observation.tool:
        asked = details(observation.arguments)
        sentences.append(f"{observation.tool} with {asked}." if asked else f"{observation.tool}.")
        if error is not None:
            sentences.append(f"Failed ({error.kind}): {shortened(error.message, MAX_FAILURE_CHARACTERS)}.")
        else:
            sentences.append(f"Answered: {details(observation.output) or 'nothing'}.")
    if observation.procedure:
        sentences.append(f"A step of {procedure_words(observation.procedure)}.")
    kind, named = (KIND_OBSERVATION, "observation") if observation.tool else (KIND_THOUGHT, "thought")
    record = _record(
        kind,
        derived_id(event.tenant, named, event.source, event.id),
        sentences,
        observation.run_id,
        {
            **_fields(observation, "tool", "tool_version", "effect", "step", "iteration", "procedure", "replayed"),
            "error": "" if error is None else error.kind,
            "arguments": choices(observation.arguments),
            "started_at": _time(observation.started_at),
            "ended_at": _time(observation.ended_at),
        },
    )
    answered = (observation.output, observation.note, "" if error is None else error.message)
    own = (observation.run_id, event.id)
    record.subjects.extend(subjects_of(observation.arguments, *answered, without=own))
    if observation.step:
        record.provenance.CopyFrom(Provenance(step=observation.step[:MAX_STEP_CHARACTERS]))
    if error is not None:
        record.importance = FAILURE_IMPORTANCE
    elif observation.tool and observation.effect != "none":
        record.importance = EFFECT_IMPORTANCE
    return record


def choices(arguments: dict[str, Any]) -> dict[str, str]:
    """The arguments that may be a choice, by name: short, by name and value, and not nested, the first `MAX_CHOICES`.
    What somebody always chooses becomes a preference (`consolidation`)."""
    found: dict[str, str] = {}
    for name, value in without_secrets(arguments).items():
        if not 0 < len(name) <= MAX_CHOICE_CHARACTERS:
            continue
        if isinstance(value, str | int | float) and 0 < len(str(value)) <= MAX_CHOICE_CHARACTERS:
            found[name] = str(value)
        if len(found) == MAX_CHOICES:
            break
    return found


def _record(
    kind: Kind.ValueType, identity: str, sentences: Iterable[str], run_id: str, attributes: dict[str, Any]
) -> Record:
    text = " ".join(sentences)
    kept = cut(text)
    if kept != text:
        attributes["cut"] = True
    return Record(
        id=identity, kind=kind, text=kept, run_id=run_id, attributes_json=json.dumps(attributes, ensure_ascii=False)
    )


def _without_envelopes(value: Any) -> Any:
    """The input of a run that events started: what they say, without their ids, sources and types."""
    if isinstance(value, list):
        return [item.get("data") if isinstance(item, dict) and "specversion" in item else item for item in value]
    return value


def _time(moment: datetime) -> str:
    return utc(moment).isoformat()


def _fields(data: BaseModel, *names: str) -> dict[str, Any]:
    return {name: getattr(data, name) for name in names}
