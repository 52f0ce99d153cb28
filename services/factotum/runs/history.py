"""From Temporal's history of one execution of a run to its steps. Pure, but for the decoding of payloads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, ParentClosePolicy, PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent, MarkerRecordedEventAttributes
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.converter import DataConverter

from factotum.runs.view import StepStatus, StepView
from factotum.workflows.contract import (
    PUBLISH_OUTCOME,
    Outcome,
    PersonTask,
    ToolCall,
    local_call_id,
    step_of_local_call,
)

# The SDK's name for the marker of a call that the worker made by itself.
LOCAL_ACTIVITY = "core_local_activity"
# The type of failure of a run that was cancelled, and moved while it was undoing what it had done.
CANCELLED = "cancelled"
# Timers shorter than this are the interpreter's own breath.
SHORTEST_WAIT_SECONDS = 1.0


class Steps:
    """The steps of one execution in the order in which they were asked for; filled event by event."""

    def __init__(self, converter: DataConverter) -> None:
        self._converter = converter
        self._steps: dict[int, StepView] = {}
        self._by_activity_id: dict[str, StepView] = {}
        # By activity id the event of a call that the worker made by itself, of those that did not succeed and may
        # be made again, by the worker or by an activity of the usual kind.
        self._tried_here: dict[str, int] = {}

    @property
    def found(self) -> list[StepView]:
        return list(self._steps.values())

    async def take(self, event: HistoryEvent) -> None:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                await self._scheduled(event)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                if (found := self._steps.get(started.scheduled_event_id)) is not None:
                    found.attempts = started.attempt
                    found.last_error = _message(started.last_failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                scheduled_id = event.activity_task_completed_event_attributes.scheduled_event_id
                self._end(scheduled_id, StepStatus.COMPLETED, event)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes
                self._end(failed.scheduled_event_id, StepStatus.FAILED, event, failed.failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                timed_out = event.activity_task_timed_out_event_attributes
                self._end(timed_out.scheduled_event_id, StepStatus.FAILED, event, timed_out.failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
                scheduled_id = event.activity_task_canceled_event_attributes.scheduled_event_id
                self._end(scheduled_id, StepStatus.CANCELLED, event)
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                await self._made_locally(event)
            case _:
                await self._nested(event)

    def pending(self, activities: Iterable[PendingActivityInfo]) -> None:
        """What is under way leaves no event while it lasts."""
        for activity in activities:
            if (found := self._by_activity_id.get(activity.activity_id)) is not None:
                found.attempts = activity.attempt
                found.last_error = _message(activity.last_failure)
                waits = activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED and activity.attempt > 1
                found.status = StepStatus.WAITING if waits else StepStatus.RUNNING

    async def _scheduled(self, event: HistoryEvent) -> None:
        scheduled = event.activity_task_scheduled_event_attributes
        # Only a tool's name has a dot; what else a run does is no step of it.
        if "." not in scheduled.activity_type.name:
            return
        (call,) = await self._converter.decode(scheduled.input.payloads, [ToolCall])
        if not call.compensation:
            self._steps.pop(self._tried_here.pop(local_call_id(call.step, call.iteration), 0), None)
        self._steps[event.event_id] = self._by_activity_id[scheduled.activity_id] = StepView(
            pointer=call.step,
            iteration=call.iteration,
            tool=call.tool,
            summary=await self._summary(event),
            status=StepStatus.RUNNING,
            compensation=call.compensation,
            started_at=moment(event.event_time),
        )

    async def _made_locally(self, event: HistoryEvent) -> None:
        marker = event.marker_recorded_event_attributes
        made = _local_activity(marker)
        if made is None or "." not in made["activity_type"]:
            return
        pointer, iteration = step_of_local_call(made["activity_id"])
        failed = marker.HasField("failure")
        self._steps.pop(self._tried_here.pop(made["activity_id"], 0), None)
        if failed and not marker.failure.application_failure_info.non_retryable:
            self._tried_here[made["activity_id"]] = event.event_id
        self._steps[event.event_id] = StepView(
            pointer=pointer,
            iteration=iteration,
            tool=made["activity_type"],
            summary=await self._summary(event),
            status=StepStatus.WAITING if made["backoff"] else StepStatus.FAILED if failed else StepStatus.COMPLETED,
            compensation=False,
            attempts=made["attempt"],
            last_error=_message(marker.failure) if failed else "",
            started_at=_when(made["original_schedule_time"]),
            ended_at=_when(made["complete_time"]),
        )

    async def _nested(self, event: HistoryEvent) -> None:
        match event.event_type:
            case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
                initiated = event.start_child_workflow_execution_initiated_event_attributes
                memo = await self._memo(initiated.memo.fields)
                self._steps[event.event_id] = StepView(
                    pointer=memo.get("step", ""),
                    iteration=memo.get("iteration", ""),
                    tool=memo.get("reference", initiated.workflow_type.name),
                    summary=await self._summary(event),
                    status=StepStatus.RUNNING,
                    compensation=False,
                    attempts=1,
                    started_at=moment(event.event_time),
                    run_id=initiated.workflow_id,
                )
                # Nobody waits for it: once it is started, the step is done.
                if initiated.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON:
                    self._end(event.event_id, StepStatus.COMPLETED, event)
            case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
                refused = event.start_child_workflow_execution_failed_event_attributes
                self._end(refused.initiated_event_id, StepStatus.FAILED, event)
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
                completed = event.child_workflow_execution_completed_event_attributes
                self._end(completed.initiated_event_id, StepStatus.COMPLETED, event)
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED:
                failed = event.child_workflow_execution_failed_event_attributes
                self._end(failed.initiated_event_id, StepStatus.FAILED, event, failed.failure)
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED:
                cancelled = event.child_workflow_execution_canceled_event_attributes
                self._end(cancelled.initiated_event_id, StepStatus.CANCELLED, event)
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT:
                timed_out = event.child_workflow_execution_timed_out_event_attributes
                self._end(timed_out.initiated_event_id, StepStatus.FAILED, event)
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED:
                terminated = event.child_workflow_execution_terminated_event_attributes
                self._end(terminated.initiated_event_id, StepStatus.FAILED, event)

    def _end(self, scheduled: int, status: StepStatus, event: HistoryEvent, failure: Failure | None = None) -> None:
        if (step := self._steps.get(scheduled)) is None:
            return
        step.status = status
        step.ended_at = moment(event.event_time)
        if failure is not None:
            step.last_error = _message(failure)
        elif status is StepStatus.COMPLETED:
            step.last_error = ""

    async def _summary(self, event: HistoryEvent) -> str:
        if not event.user_metadata.HasField("summary"):
            return ""
        (summary,) = await self._converter.decode([event.user_metadata.summary], [str])
        return str(summary)

    async def _memo(self, fields: Mapping[str, Payload]) -> dict[str, str]:
        values = await self._converter.decode(list(fields.values()))
        return dict(zip(fields, map(str, values), strict=True))


async def read(events: Iterable[HistoryEvent], converter: DataConverter) -> Steps:
    """What a run asked for, in the order in which it did."""
    steps = Steps(converter)
    for event in events:
        await steps.take(event)
    return steps


async def steps_before(first: HistoryEvent, converter: DataConverter) -> int:
    """How many steps the executions before this one have made, by its first event."""
    given = first.workflow_execution_started_event_attributes.input.payloads
    (run,) = await converter.decode(given[:1], [dict])
    return int(run.get("steps_before", 0))


def execution_before(first: HistoryEvent) -> str:
    """Temporal's id of the execution that this one goes on from; empty for the first."""
    return first.workflow_execution_started_event_attributes.continued_execution_run_id


def waits_until(events: Iterable[HistoryEvent]) -> list[datetime]:
    """When the timers go off that are set."""
    timers: dict[int, datetime] = {}
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_TIMER_STARTED:
                span = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
                if span.total_seconds() >= SHORTEST_WAIT_SECONDS:
                    timers[event.event_id] = moment(event.event_time) + span
            case EventType.EVENT_TYPE_TIMER_FIRED:
                timers.pop(event.timer_fired_event_attributes.started_event_id, None)
            case EventType.EVENT_TYPE_TIMER_CANCELED:
                timers.pop(event.timer_canceled_event_attributes.started_event_id, None)
    return sorted(timers.values())


async def tasks_of(events: Iterable[HistoryEvent], converter: DataConverter) -> list[PersonTask]:
    """What an ended run left to people, as it told the world."""
    for event in events:
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == PUBLISH_OUTCOME:
            (outcome,) = await converter.decode(scheduled.input.payloads, [Outcome])
            return list(outcome.tasks)
    return []


def final_payload(events: Iterable[HistoryEvent]) -> Payload | None:
    """The run's output as it is kept; None if it did not complete."""
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            found = event.workflow_execution_completed_event_attributes.result.payloads
            return found[0] if found else None
    return None


def final_failure(events: Iterable[HistoryEvent]) -> str:
    """Why the run failed; empty if it did not."""
    return _failure(events).message


async def was_cancelled(events: Iterable[HistoryEvent], converter: DataConverter) -> bool:
    """Whether a run that Temporal takes for failed was cancelled, and moved while it was undoing."""
    info = _failure(events).application_failure_info
    # An error that a document raises may have this title; but it has details.
    return info.type == CANCELLED and not any(await converter.decode(info.details.payloads))


def _failure(events: Iterable[HistoryEvent]) -> Failure:
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            return event.workflow_execution_failed_event_attributes.failure
    return Failure()


def _local_activity(marker: MarkerRecordedEventAttributes) -> dict[str, Any] | None:
    """What the SDK notes of a call that the worker made by itself; None for any other marker."""
    if marker.marker_name != LOCAL_ACTIVITY:
        return None
    noted: Sequence[Payload] = marker.details["data"].payloads
    found: dict[str, Any] = json.loads(noted[0].data)
    return found


def _when(stamp: Mapping[str, int] | None) -> datetime | None:
    return None if stamp is None else moment(Timestamp(seconds=stamp["seconds"], nanos=stamp["nanos"]))


def _message(failure: Failure) -> str:
    """The innermost message: that of the system."""
    while failure.HasField("cause"):
        failure = failure.cause
    return failure.message


def moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
