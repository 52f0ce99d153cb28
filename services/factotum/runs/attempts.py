"""How often Temporal tried a call, read from the history of an execution. Pure, but for the decoding of payloads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import DataConverter

from factotum.runs.history import LOCAL_ACTIVITY
from factotum.workflows.contract import ToolCall, step_of_local_call


@dataclass(frozen=True, slots=True)
class Tried:
    """A call that did not succeed at once.

    Attributes:
        attempts: more than one.
        error: the kind of what the last but one ended with, as the executor names it; empty if it is not known.
    """

    attempts: int
    error: str


async def tried_again(events: Iterable[HistoryEvent], converter: DataConverter) -> dict[str, Tried]:
    """The steps, by pointer, whose call was tried more than once; of several rounds the one with most attempts.

    Only the inputs of such calls are decoded. Undoing calls are left out.
    """
    scheduled: dict[int, HistoryEvent] = {}
    again: dict[int, tuple[int, str]] = {}
    here: dict[str, tuple[int, str]] = {}
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled[event.event_id] = event
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                again[started.scheduled_event_id] = started.attempt, _kind(started.last_failure)
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                marker = event.marker_recorded_event_attributes
                if marker.marker_name == LOCAL_ACTIVITY and marker.HasField("failure"):
                    identity = str(json.loads(marker.details["data"].payloads[0].data)["activity_id"])
                    times, _ = here.get(identity, (0, ""))
                    here[identity] = times + 1, _kind(marker.failure)
    found: dict[str, Tried] = {}
    failed_here = {step_of_local_call(identity): tried for identity, tried in here.items()}
    for event_id, (attempts, error) in again.items():
        event = scheduled[event_id]
        attributes = event.activity_task_scheduled_event_attributes
        # What the worker tried by itself is tried by an activity afterwards, under the same step.
        if "." not in attributes.activity_type.name or (attempts == 1 and not failed_here):
            continue
        (call,) = await converter.decode(attributes.input.payloads, [ToolCall])
        if call.compensation:
            continue
        before, error_here = failed_here.get((call.step, call.iteration), (0, ""))
        total = attempts + before
        if total > 1 and (call.step not in found or total > found[call.step].attempts):
            found[call.step] = Tried(total, error or error_here)
    return found


def _kind(failure: Failure) -> str:
    while failure.HasField("cause"):
        failure = failure.cause
    return failure.application_failure_info.type.replace("_", " ").replace("-", " ")
