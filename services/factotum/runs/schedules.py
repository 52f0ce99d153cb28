"""Runs that the clock starts: `cron` and `every` are Temporal schedules, `after` is a workflow of its own.

All have the id `{tenant}.{namespace}.{name}`. Whatever is asked may be asked again, by several planners at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from factotum.procedures import timing
from factotum.procedures.duration import Duration
from factotum.procedures.model import Document
from factotum.runs import attributes, identity, labels
from factotum.runs.errors import translated
from factotum.workflows import recurrence
from factotum.workflows.contract import RunInput
from factotum.workflows.recurrence import RECURRENCE, REPLACE_SIGNAL, Recurring

# What was missed while Temporal was away is started when it is back if it is not older than this.
CATCH_UP = timedelta(hours=1)
LEAST_CATCH_UP = timedelta(seconds=60)

# In the memo of the runs that a schedule starts: whether it is still the same definition.
DEFINITION = "definition_sha256"


def is_timed(document: Document) -> bool:
    """Whether the clock starts it."""
    return document.schedule is not None and document.schedule.on is None


class Schedules:
    """The schedules of all tenants. Methods raise `TemporalUnavailable`, or `RunRefused` for what is never taken."""

    def __init__(self, client: Client, *, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def put(self, run: RunInput, document: Document) -> None:
        """From now on the clock starts this run, and none of another version. The schedule must be free of faults
        (`procedures.timing`). A schedule that a person has paused stays so."""
        schedule = document.schedule
        if schedule is None:
            raise ValueError(f"{document.full_name} has no schedule")
        name = identity.schedule_id(tenant=run.tenant, procedure=document.full_name)
        try:
            if isinstance(schedule.after, Duration):
                await self._delete(name)
                await self._recur(name, self._recurring(run, document, schedule.after))
            else:
                await self._terminate(name)
                await self._schedule(name, self._scheduled(run, document), definition_sha256(run))
        except RPCError as error:
            raise translated(error) from error

    async def remove(self, tenant: str, procedure: str) -> None:
        """The clock starts it no more; runs in flight are left alone."""
        name = identity.schedule_id(tenant=tenant, procedure=procedure)
        try:
            await self._delete(name)
            await self._terminate(name)
        except RPCError as error:
            raise translated(error) from error

    async def prune(self, wanted: Collection[tuple[str, str]]) -> list[str]:
        """Removes what is not of these (tenant, procedure); gives the ids of what is gone.

        What was put a moment ago may not be listed yet, and stays until the next time.
        """
        kept = {identity.schedule_id(tenant=tenant, procedure=procedure) for tenant, procedure in wanted}
        try:
            ours = f"{attributes.TENANT.name} IS NOT NULL"
            schedules = [found.id async for found in await self._client.list_schedules(ours)]
            running = f'WorkflowType = "{RECURRENCE}" AND ExecutionStatus = "Running"'
            recurrences = [found.id async for found in self._client.list_workflows(running)]
            for name in schedules:
                if name not in kept:
                    await self._delete(name)
            for name in recurrences:
                if name not in kept:
                    await self._terminate(name)
        except RPCError as error:
            raise translated(error) from error
        return sorted({*schedules, *recurrences} - kept)

    async def _schedule(self, name: str, schedule: Schedule, definition: str) -> None:
        found = TypedSearchAttributes([SearchAttributePair(attributes.TENANT, identity.tenant_of(name))])
        try:
            await self._client.create_schedule(name, schedule, search_attributes=found)
        except ScheduleAlreadyRunningError:

            async def renewed(given: ScheduleUpdateInput) -> ScheduleUpdate | None:
                there = given.description.schedule
                if await self._definition(there.action) == definition:
                    return None
                schedule.state = there.state
                return ScheduleUpdate(schedule)

            await self._client.get_schedule_handle(name).update(renewed)

    async def _definition(self, action: Any) -> str:
        """What the schedule was made of; empty if it cannot be told."""
        found = (action.memo or {}).get(DEFINITION)
        if found is None:
            return ""
        (value,) = await self._client.data_converter.decode([found])
        return str(value)

    async def _recur(self, name: str, recurring: Recurring) -> None:
        handle = self._client.get_workflow_handle(name)
        try:
            description = await handle.describe()
            there = (await description.memo()).get(DEFINITION) if description.close_time is None else None
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            there = None
        if there == recurring.definition_sha256:
            return
        # Started, or, where it runs, given the new definition.
        await self._client.start_workflow(
            RECURRENCE,
            recurring,
            id=name,
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            memo=recurrence.memo(recurring),
            start_signal=REPLACE_SIGNAL,
            start_signal_args=[recurring],
            static_summary=f"{recurring.summary}: again some time after each run",
        )

    async def _delete(self, name: str) -> None:
        try:
            await self._client.get_schedule_handle(name).delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def _terminate(self, name: str) -> None:
        try:
            await self._client.get_workflow_handle(name).terminate(reason="its procedure has another schedule, or none")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    def _scheduled(self, run: RunInput, document: Document) -> Schedule:
        spec, catch_up = _spec(document)
        return Schedule(
            action=ScheduleActionStartWorkflow(
                document.document.name,
                run,
                id=identity.recurring_id(tenant=run.tenant, procedure=document.full_name),
                task_queue=self._task_queue,
                typed_search_attributes=labels.search_attributes(run, document),
                memo={**labels.memo(document), DEFINITION: definition_sha256(run)},
                static_summary=labels.summary(document),
            ),
            spec=spec,
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=catch_up),
        )

    def _recurring(self, run: RunInput, document: Document, after: Duration) -> Recurring:
        return Recurring(
            name=document.document.name,
            procedure=document.full_name,
            run_id=identity.recurring_id(tenant=run.tenant, procedure=document.full_name),
            after=after,
            run=run,
            memo=labels.memo(document),
            summary=labels.summary(document),
            definition_sha256=definition_sha256(run),
        )


def definition_sha256(run: RunInput) -> str:
    """Of everything that a run is given: the document with its schedule, the tools it is pinned to."""
    return hashlib.sha256(run.model_dump_json().encode()).hexdigest()


def _spec(document: Document) -> tuple[ScheduleSpec, timedelta]:
    """When it starts, and how old a start that was missed may be."""
    schedule = document.schedule
    if schedule is not None and schedule.cron is not None:
        return ScheduleSpec(cron_expressions=timing.cron_expressions(schedule.cron)), CATCH_UP
    if schedule is not None and isinstance(schedule.every, Duration):
        every = timedelta(seconds=schedule.every.total_seconds)
        # At most about one: a short interval must not come back as a flood.
        return ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]), min(max(every, LEAST_CATCH_UP), CATCH_UP)
    raise ValueError(f"{document.full_name} is not started by the clock")
