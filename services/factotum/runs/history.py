"""From Temporal's history of a run to its steps. Pure, but for the decoding of payloads."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.converter import DataConverter

from factotum.runs.view import StepStatus, StepView
from factotum.workflows.contract import ToolCall


async def steps_of(
    events: Iterable[HistoryEvent], pending: Iterable[PendingActivityInfo], converter: DataConverter
) -> list[StepView]:
    """The calls of a run in the order in which they were asked for."""
    steps: dict[int, StepView] = {}
    by_activity_id: dict[str, StepView] = {}
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                # Only a tool's name has a dot; what else a run does is no step of it.
                if "." not in scheduled.activity_type.name:
                    continue
                step = await _scheduled(event, scheduled.input, converter)
                steps[event.event_id] = by_activity_id[scheduled.activity_id] = step
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                if (found := steps.get(started.scheduled_event_id)) is not None:
                    found.attempts = started.attempt
                    found.last_error = _message(started.last_failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                scheduled_id = event.activity_task_completed_event_attributes.scheduled_event_id
                _end(steps.get(scheduled_id), StepStatus.COMPLETED, event)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes
                _end(steps.get(failed.scheduled_event_id), StepStatus.FAILED, event, failed.failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                timed_out = event.activity_task_timed_out_event_attributes
                _end(steps.get(timed_out.scheduled_event_id), StepStatus.FAILED, event, timed_out.failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
                scheduled_id = event.activity_task_canceled_event_attributes.scheduled_event_id
                _end(steps.get(scheduled_id), StepStatus.CANCELLED, event)
    for activity in pending:
        if (found := by_activity_id.get(activity.activity_id)) is not None:
            found.attempts = activity.attempt
            found.last_error = _message(activity.last_failure)
            waits = activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED and activity.attempt > 1
            found.status = StepStatus.WAITING if waits else StepStatus.RUNNING
    return list(steps.values())


async def _scheduled(event: HistoryEvent, arguments: Payloads, converter: DataConverter) -> StepView:
    (call,) = await converter.decode(arguments.payloads, [ToolCall])
    summary = ""
    if event.user_metadata.HasField("summary"):
        (summary,) = await converter.decode([event.user_metadata.summary], [str])
    return StepView(
        pointer=call.step,
        iteration=call.iteration,
        tool=call.tool,
        summary=summary,
        status=StepStatus.RUNNING,
        compensation=call.compensation,
        started_at=moment(event.event_time),
    )


def _end(step: StepView | None, status: StepStatus, event: HistoryEvent, failure: Failure | None = None) -> None:
    if step is None:
        return
    step.status = status
    step.ended_at = moment(event.event_time)
    if failure is not None:
        step.last_error = _message(failure)
    elif status is StepStatus.COMPLETED:
        step.last_error = ""


def _message(failure: Failure) -> str:
    """The innermost message: that of the system."""
    while failure.HasField("cause"):
        failure = failure.cause
    return failure.message


def final_payload(events: Iterable[HistoryEvent]) -> Payload | None:
    """The run's output as it is kept; None if it did not complete."""
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            found = event.workflow_execution_completed_event_attributes.result.payloads
            return found[0] if found else None
    return None


def final_failure(events: Iterable[HistoryEvent]) -> str:
    """Why the run failed; empty if it did not."""
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            return event.workflow_execution_failed_event_attributes.failure.message
    return ""


def moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
