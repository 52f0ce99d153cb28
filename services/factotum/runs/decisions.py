"""What runs want of people: decisions on calls, and what is left to be done by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from factotum.runs import attributes
from factotum.runs.client import CONCURRENT_READS, Runs
from factotum.runs.errors import CallChanged, NoAnswer, NotAmongThem, NothingWaits, translated
from factotum.runs.reading import Reader
from factotum.runs.view import RunStatus, RunView
from factotum.workflows.contract import DECIDE_UPDATE, Decision, PendingApproval, PersonTask

T = TypeVar("T")

# Runs that are looked at when a tenant's approvals are listed.
MOST_RUNS = 500
# A run takes a decision at once, unless no worker carries it on.
DECISION_SECONDS = 10.0
# How often a decision is brought again to a run that has just gone on in another execution, and how soon.
ATTEMPTS = 5
PAUSE_SECONDS = 0.2

_REFUSALS: dict[str | None, type[Exception]] = {
    "not_waiting": NothingWaits,
    "call_changed": CallChanged,
    "not_allowed": NotAmongThem,
}


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call that waits for a person, and whose it is."""

    run_id: str
    procedure: str
    asked: PendingApproval


@dataclass(frozen=True, slots=True)
class LeftTask:
    """What a run that has ended left to people."""

    run_id: str
    procedure: str
    ended_at: datetime | None
    task: PersonTask


class Decisions:
    """What people are asked, for all tenants; every method names the one it is for, which must have been checked
    against its pattern. Raises `TemporalUnavailable` where Temporal does not answer."""

    def __init__(self, client: Client, runs: Runs) -> None:
        self._client = client
        self._runs = runs
        self._reader = Reader(client)

    async def approvals(self, tenant: str, run_id: str = "") -> tuple[list[WaitingCall], list[str]]:
        """(the calls that wait, the oldest first; runs that wait too but did not say for what).

        A run that has just begun to wait is in the list of all runs a moment later than in its own.
        Raises `RunNotFound`, and `NoAnswer` where one run was asked for.
        """
        if run_id:
            view = await self._runs.describe(tenant, run_id)
            waiting = await self._calls(view) if view.status is RunStatus.RUNNING else []
            return waiting, []
        views = list((await self._runs.waiting(tenant, attributes.APPROVAL, limit=MOST_RUNS)).values())
        found: list[WaitingCall] = []
        unanswered: list[str] = []
        for view, answer in zip(views, await _some_at_a_time(map(self._calls_or_none, views)), strict=True):
            if answer is None:
                unanswered.append(view.id)
            else:
                found.extend(answer)
        return sorted(found, key=lambda call: call.asked.asked_at), unanswered

    async def decide(self, tenant: str, run_id: str, decision: Decision) -> bool:
        """Brings a decision to a run; whether the call is settled by it.

        Raises `RunNotFound`, `NothingWaits`, `CallChanged`, `NotAmongThem`; and `NoAnswer`, after which the decision
        may still be taken.
        """
        await self._runs.describe(tenant, run_id)
        for _ in range(ATTEMPTS):
            try:
                return await self._update(run_id, decision)
            except NothingWaits:
                # A run that has just gone on in another execution has not come to where it waits.
                await asyncio.sleep(PAUSE_SECONDS)
                waiting = await self._reader.approvals(run_id)
                if not any(asked.step == decision.step for asked in waiting):
                    raise
        return await self._update(run_id, decision)

    async def tasks(self, tenant: str, *, limit: int) -> list[LeftTask]:
        """What is left to people of the latest `limit` runs that ended so, in the order in which it came up."""
        views = await self._runs.waiting(tenant, attributes.TASK, limit=limit)
        try:
            left = await _some_at_a_time(
                self._reader.tasks_left(view.id, execution) for execution, view in views.items()
            )
        except RPCError as error:
            raise translated(error) from error
        return [
            LeftTask(view.id, view.procedure, view.ended_at, task)
            for view, tasks in zip(views.values(), left, strict=True)
            for task in tasks
        ]

    async def _update(self, run_id: str, decision: Decision) -> bool:
        try:
            async with asyncio.timeout(DECISION_SECONDS):
                settled: bool = await self._client.get_workflow_handle(run_id).execute_update(
                    DECIDE_UPDATE, decision, result_type=bool
                )
        except WorkflowUpdateFailedError as error:
            kind = error.cause.type if isinstance(error.cause, ApplicationError) else None
            message = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
            raise _REFUSALS.get(kind, NothingWaits)(message) from error
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise NoAnswer(f"no worker answers for the run {run_id}: the decision may still be taken") from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NothingWaits(f"the run {run_id} has ended") from error
            raise translated(error) from error
        return settled

    async def _calls(self, view: RunView) -> list[WaitingCall]:
        try:
            return [WaitingCall(view.id, view.procedure, asked) for asked in await self._reader.approvals(view.id)]
        except RPCError as error:
            raise translated(error) from error

    async def _calls_or_none(self, view: RunView) -> list[WaitingCall] | None:
        try:
            return await self._calls(view)
        except NoAnswer:
            return None


async def _some_at_a_time(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in the order of the work."""
    asking = asyncio.Semaphore(CONCURRENT_READS)

    async def one(each: Coroutine[Any, Any, T]) -> T:
        async with asking:
            return await each

    return await asyncio.gather(*(one(each) for each in work))
