"""Reading a run back whole: from the histories of its executions and, of what waits, by its own word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from factotum.runs import attributes, history
from factotum.runs.errors import NoAnswer, translated
from factotum.runs.view import RunStatus, RunView, StepView
from factotum.workflows.contract import APPROVALS_QUERY, TASKS_QUERY, PendingApproval, PersonTask

log = structlog.get_logger(__name__)

# Of a long run the latest so many steps are read back, rounded up to whole executions.
MOST_STEPS = 2_000
# A run that is asked answers at once, unless no worker does.
QUERY_TIMEOUT = timedelta(seconds=5)
# What Temporal says of a question that no worker takes.
_NO_WORKER = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.CANCELLED)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Execution:
    """One that a run went on from: its steps, the execution before it, and how many steps had been made before."""

    steps: list[StepView]
    before: str
    steps_before: int


class Reader:
    """Reads runs whose tenant was checked before. Raises `RPCError` as Temporal does, unless said otherwise."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._converter = client.data_converter

    async def fill(
        self, view: RunView, description: WorkflowExecutionDescription, over: dict[str, Execution] | None = None
    ) -> None:
        """Adds to the view everything that a list has not.

        Args:
            over: what was read before of executions that are over; is filled.
        """
        events = await self._events(view.id, description.run_id)
        steps = await history.read(events, self._converter)
        steps.pending(description.raw_description.pending_activities)
        over = {} if over is None else over
        view.steps, view.steps_left_out = await self._with_earlier(view.id, events[0], steps.found, over)
        await self._ended(view, events)
        payload = history.final_payload(events)
        if payload is not None:
            (view.output,) = await self._converter.decode([payload])
        waiting = description.typed_search_attributes.get(attributes.WAITING)
        if view.status is RunStatus.RUNNING:
            view.waits_until = history.waits_until(events)
            await self._fill_waiting(view, waiting)
        elif waiting == attributes.TASK:
            view.tasks = await history.tasks_of(events, self._converter)

    async def fill_failure(self, view: RunView, execution: str) -> None:
        """Adds why the run failed, from the last event only."""
        handle = self._handle(view.id, execution)
        only_the_last = WorkflowHistoryEventFilterType.CLOSE_EVENT
        try:
            events = [event async for event in handle.fetch_history_events(event_filter_type=only_the_last)]
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # its history has just run out of its retention
                raise
            return
        await self._ended(view, events)

    async def approvals(self, run_id: str) -> list[PendingApproval]:
        """The calls that wait for a person, by the run's own word. Raises `NoAnswer`, `TemporalUnavailable`."""
        return await self._ask(run_id, APPROVALS_QUERY, list[PendingApproval])

    async def tasks_left(self, run_id: str, execution: str) -> list[PersonTask]:
        """What an ended run left to people."""
        return await history.tasks_of(await self._events(run_id, execution), self._converter)

    async def _fill_waiting(self, view: RunView, waiting: str | None) -> None:
        try:
            if waiting == attributes.APPROVAL:
                view.approvals = await self.approvals(view.id)
            elif waiting == attributes.TASK:
                view.tasks = await self._ask(view.id, TASKS_QUERY, list[PersonTask])
        except NoAnswer as error:
            # What is in the history is worth more than no answer at all.
            log.warning("a run that waits for a person does not say for what", run_id=view.id, error=str(error))

    async def _ask(self, run_id: str, query: str, kind: type[T]) -> T:
        try:
            # The last execution, whichever that is by now.
            answer: T = await self._client.get_workflow_handle(run_id).query(
                query, result_type=kind, rpc_timeout=QUERY_TIMEOUT
            )
        except WorkflowQueryFailedError as error:
            raise NoAnswer(f"the run {run_id} does not answer: {error.message}") from error
        except RPCError as error:
            if error.status in _NO_WORKER:
                raise NoAnswer(f"no worker answers for the run {run_id}: {error.message}") from error
            raise translated(error) from error
        return answer

    async def _ended(self, view: RunView, events: Sequence[HistoryEvent]) -> None:
        view.failure = history.final_failure(events)
        if await history.was_cancelled(events, self._converter):
            view.status = RunStatus.CANCELLED

    async def _with_earlier(
        self, run_id: str, first: HistoryEvent, steps: list[StepView], over: dict[str, Execution]
    ) -> tuple[list[StepView], int]:
        """(the latest steps of all executions, how many came before these)."""
        earlier, left_out = history.execution_before(first), await history.steps_before(first, self._converter)
        while earlier and len(steps) < MOST_STEPS:
            if earlier not in over:
                try:
                    over[earlier] = await self._execution(run_id, earlier)
                except RPCError as error:
                    if error.status is not RPCStatusCode.NOT_FOUND:  # its history has run out of its retention
                        raise
                    break
            found = over[earlier]
            steps = [*found.steps, *steps]
            earlier, left_out = found.before, found.steps_before
        return steps, left_out

    async def _execution(self, run_id: str, execution: str) -> Execution:
        events = await self._events(run_id, execution)
        return Execution(
            steps=(await history.read(events, self._converter)).found,
            before=history.execution_before(events[0]),
            steps_before=await history.steps_before(events[0], self._converter),
        )

    async def _events(self, run_id: str, execution: str) -> list[HistoryEvent]:
        return [event async for event in self._handle(run_id, execution).fetch_history_events()]

    def _handle(self, run_id: str, execution: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(run_id, run_id=execution)
