"""What the planner tells of its own choices: observations without a tool, which the memory keeps as thoughts. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from factotum.events.envelope import Event
from factotum.events.types import OBSERVATION_TYPE, ObservationData
from factotum.planner.planning import Plan
from factotum.procedures.consumption import EventConsumption, EventFilter

SOURCE = "/planner"
# Characters of a trigger that a note quotes.
LONGEST_TRIGGER = 500


def no_match(event: Event, now: datetime) -> Event:
    """That no procedure takes the event."""
    # Source and id may be longer together than an id may be.
    key = hashlib.sha256(json.dumps([event.source, event.id]).encode()).hexdigest()[:32]
    data = ObservationData(note=f"No procedure matches {_named(event)}.", started_at=now, ended_at=now)
    return _note(f"no-match:{key}", event.tenant, event.id, data, now)


def chosen(made: Plan, events: Sequence[Event], now: datetime) -> Event:
    """Why a run was started: which procedure, for which events, because of which trigger. A run has one such note."""
    document = made.source.document
    schedule = document.schedule
    reason = _reason(schedule.on) if schedule is not None and schedule.on is not None else "it was asked for"
    of = ", ".join(_named(event) for event in events)
    data = ObservationData(
        run_id=made.run_id,
        procedure=document.full_name,
        note=f"Chose {document.full_name} {document.document.version} for {of}: {reason}.",
        started_at=now,
        ended_at=now,
    )
    return _note(f"{made.run_id}:chosen", events[0].tenant, made.run_id, data, now)


def _named(event: Event) -> str:
    return f"the event {event.id} of type {event.type} from {event.source}"


def _reason(trigger: EventConsumption) -> str:
    if trigger.all is not None:
        return f"all events of its trigger have come, {_quoted(trigger.all)}"
    filters = trigger.filters
    return f"its trigger takes events {_quoted(filters)}" if filters else "its trigger takes every event"


def _quoted(filters: Sequence[EventFilter]) -> str:
    text = " or ".join(
        "with " + " and ".join(f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in each.with_.items())
        for each in filters
    )
    return text if len(text) <= LONGEST_TRIGGER else text[: LONGEST_TRIGGER - 1] + "…"


def _note(identity: str, tenant: str, subject: str, data: ObservationData, now: datetime) -> Event:
    return Event(
        id=identity,
        source=SOURCE,
        type=OBSERVATION_TYPE,
        tenant=tenant,
        subject=subject,
        time=now,
        data=data.model_dump(mode="json"),
    )
