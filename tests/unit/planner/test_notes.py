"""What the planner tells of its choices."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from factotum.events.envelope import Event
from factotum.events.types import ObservationData
from factotum.planner import notes
from factotum.planner.planning import plan
from factotum.planner.preparation import Prepared
from factotum.procedures.parse import parse

NOW = datetime(2026, 11, 24, tzinfo=UTC)
EVENT = Event(id="e-1", source="/hooks/hr", type="employee.created", tenant="acme", data={"name": "Ada"})


def told(on: str) -> tuple[Event, ObservationData]:
    header = "document: {dsl: '1.0.3', namespace: test, name: p, version: '1.0.0'}"
    source = parse(f"{header}\nschedule: {{on: {on}}}\ndo:\n  - a: {{set: {{x: 1}}}}\n")
    event = notes.chosen(plan([EVENT], Prepared(source, {}, uses=(source,))), [EVENT], NOW)
    return event, ObservationData.model_validate(event.data)


@pytest.mark.parametrize(
    ("on", "reason"),
    [
        ("{one: {with: {type: employee.created}}}", 'its trigger takes events with type "employee.created"'),
        (
            "{any: [{with: {type: a, subject: é}}, {with: {data: {level: 3}}}]}",
            'its trigger takes events with type "a" and subject "é" or with data {"level": 3}',
        ),
        ("{any: []}", "its trigger takes every event"),
    ],
)
def test_a_choice_says_what_was_chosen_for_which_event_and_why(on: str, reason: str) -> None:
    event, data = told(on)
    assert data.note == f"Chose test/p 1.0.0 for the event e-1 of type employee.created from /hooks/hr: {reason}."
    assert (data.tool, data.procedure, event.tenant, event.subject) == ("", "test/p", "acme", data.run_id)
    assert event.id == f"{data.run_id}:chosen"
    # What the event tells stays with the run.
    assert "Ada" not in event.to_bytes().decode()


def test_a_long_trigger_is_cut() -> None:
    _, data = told(f"{{one: {{with: {{type: {'x' * 2000}}}}}}}")
    assert len(data.note) < 700
    assert data.note.endswith("….")


def test_no_match_names_the_event() -> None:
    event = notes.no_match(EVENT, NOW)
    note = ObservationData.model_validate(event.data)
    assert note.note == "No procedure matches the event e-1 of type employee.created from /hooks/hr."
    assert (note.run_id, event.subject) == ("", "e-1")
    assert event.id == notes.no_match(EVENT, NOW).id != notes.no_match(EVENT.model_copy(update={"id": "x"}), NOW).id
