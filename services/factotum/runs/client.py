"""Starting runs and reading them back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from opentelemetry import trace
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from factotum.procedures.model import Document
from factotum.runs import attributes, identity, labels
from factotum.runs.errors import RunEnded, RunNotFound, RunRefused, translated
from factotum.runs.reading import Execution, Reader
from factotum.runs.view import RunStatus, RunView
from factotum.workflows.contract import EVENT_SIGNAL, EventSignal, RunInput

# How often a watched run is looked at: attempts leave no event in Temporal's history while they last.
WATCH_SECONDS = 0.5
# Temporal's own limit of one payload, which is told only of what is not yet too large for a request.
LARGEST_SIGNAL_BYTES = 2 * 1024 * 1024
# Histories that are read at one time while runs are listed.
CONCURRENT_READS = 20

_STATUS = {
    WorkflowExecutionStatus.RUNNING: RunStatus.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: RunStatus.RUNNING,
    WorkflowExecutionStatus.COMPLETED: RunStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}


class Runs:
    """The runs of all tenants; every method names the one it is for.

    Args:
        ui_url: address of the Temporal UI; empty if there is none.
    """

    def __init__(self, client: Client, *, task_queue: str, ui_url: str) -> None:
        self._client = client
        self._reader = Reader(client)
        self._task_queue = task_queue
        self._ui_url = ui_url.rstrip("/")

    async def start(self, run_id: str, run: RunInput, document: Document) -> bool:
        """Starts a run; False if one of this id was started before, whatever became of it.

        Raises `TemporalUnavailable`, or `RunRefused` where trying again cannot help.
        """
        span = trace.get_current_span().get_span_context()
        try:
            await self._client.start_workflow(
                document.document.name,
                run,
                id=run_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                search_attributes=labels.search_attributes(run, document),
                memo={
                    **labels.memo(document),
                    "trace_id": trace.format_trace_id(span.trace_id) if span.is_valid else "",
                },
                static_summary=labels.summary(document),
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise translated(error) from error
        return True

    async def cancel(self, tenant: str, run_id: str) -> None:
        """Asks a run to end; it undoes what it did, and then its status is cancelled.

        Raises `RunNotFound`, `RunEnded`, `TemporalUnavailable`.
        """
        try:
            description = await self._describe(tenant, run_id)
            status = _STATUS[description.status or WorkflowExecutionStatus.RUNNING]
            if status is not RunStatus.RUNNING:
                raise RunEnded(f"the run {run_id} has ended: it is {status.value}")
            # Without Temporal's own id: a run that has continued as new meanwhile is meant just so.
            await self._client.get_workflow_handle(run_id).cancel()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise RunEnded(f"the run {run_id} has ended") from error
            raise translated(error) from error

    async def signal(self, tenant: str, run_id: str, event: EventSignal) -> None:
        """Brings an event to a run, which has it for good when this has returned.

        Raises `RunNotFound` if the run has ended or never was, `TemporalUnavailable`, or `RunRefused` where
        trying again cannot help, e.g. because the event is too large.
        """
        if identity.tenant_of(run_id) != tenant:
            raise RunNotFound(f"tenant {tenant} has no run {run_id}")
        if len(event.model_dump_json()) > LARGEST_SIGNAL_BYTES:
            raise RunRefused(f"an event of more than {LARGEST_SIGNAL_BYTES} bytes cannot be brought to a run")
        try:
            await self._client.get_workflow_handle(run_id).signal(EVENT_SIGNAL, event)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and not _lacks_namespace(error):
                raise RunNotFound(f"tenant {tenant} has no run {run_id} under way") from error
            raise translated(error) from error

    async def list(self, tenant: str, *, limit: int, procedure: str = "") -> list[RunView]:
        """The newest runs first, failed ones with their failure. Tenant and procedure must have been
        checked against their patterns."""
        # Of a run that goes on in another execution, only the last one counts.
        query = f'{attributes.TENANT.name} = "{tenant}" AND ExecutionStatus != "ContinuedAsNew"'
        if procedure:
            query += f' AND {attributes.PROCEDURE.name} = "{procedure}"'
        try:
            views = await self._found(query, limit)
            reading = asyncio.Semaphore(CONCURRENT_READS)
            await asyncio.gather(
                *(
                    self._read_failure(view, execution, reading)
                    for execution, view in views.items()
                    if view.status is RunStatus.FAILED
                )
            )
        except RPCError as error:
            raise translated(error) from error
        return list(views.values())

    async def waiting(self, tenant: str, what: str, *, limit: int) -> dict[str, RunView]:
        """Runs that wait for an approval (`attributes.APPROVAL`), or that ended and left a task to people
        (`attributes.TASK`), by Temporal's id of their last execution, the newest first."""
        running = "=" if what == attributes.APPROVAL else "!="
        query = f'{attributes.TENANT.name} = "{tenant}" AND {attributes.WAITING.name} = "{what}"'
        query += f' AND ExecutionStatus {running} "Running" AND ExecutionStatus != "ContinuedAsNew"'
        try:
            return await self._found(query, limit)
        except RPCError as error:
            raise translated(error) from error

    async def _found(self, query: str, limit: int) -> dict[str, RunView]:
        return {
            execution.run_id: await self._view(execution)
            async for execution in self._client.list_workflows(query, limit=limit, page_size=min(limit, 200))
        }

    async def get(self, tenant: str, run_id: str) -> RunView:
        """The run with its steps. Raises `RunNotFound`."""
        try:
            return await self._read(tenant, run_id)
        except RPCError as error:
            raise translated(error) from error

    async def watch(self, tenant: str, run_id: str) -> AsyncIterator[RunView]:
        """The run now and after every change until it has ended. Raises `RunNotFound`."""
        seen: Any = None
        # What is over does not change any more.
        over: dict[str, Execution] = {}
        while True:
            try:
                view = await self._read(tenant, run_id, over)
            except RPCError as error:
                raise translated(error) from error
            if view != seen:
                seen = view
                yield view
            if view.status is not RunStatus.RUNNING:
                return
            await asyncio.sleep(WATCH_SECONDS)

    async def describe(self, tenant: str, run_id: str) -> RunView:
        """The run as a list has it. Raises `RunNotFound`, `TemporalUnavailable`."""
        try:
            return await self._view(await self._describe(tenant, run_id))
        except RPCError as error:
            raise translated(error) from error

    async def _describe(self, tenant: str, run_id: str) -> WorkflowExecutionDescription:
        if identity.tenant_of(run_id) != tenant:
            raise RunNotFound(f"tenant {tenant} has no run {run_id}")
        try:
            description = await self._client.get_workflow_handle(run_id).describe()
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                raise RunNotFound(f"tenant {tenant} has no run {run_id}") from error
            raise
        if description.typed_search_attributes.get(attributes.TENANT) != tenant:
            raise RunNotFound(f"tenant {tenant} has no run {run_id}")
        return description

    async def _read(self, tenant: str, run_id: str, over: dict[str, Execution] | None = None) -> RunView:
        description = await self._describe(tenant, run_id)
        view = await self._view(description)
        await self._reader.fill(view, description, over)
        return view

    async def _read_failure(self, view: RunView, execution: str, reading: asyncio.Semaphore) -> None:
        async with reading:
            await self._reader.fill_failure(view, execution)

    async def _view(self, execution: WorkflowExecution) -> RunView:
        memo = await execution.memo()
        found = execution.typed_search_attributes
        return RunView(
            id=execution.id,
            tenant=found.get(attributes.TENANT) or "",
            procedure=found.get(attributes.PROCEDURE) or "",
            procedure_version=str(memo.get("procedure_version", "")),
            status=_STATUS[execution.status or WorkflowExecutionStatus.RUNNING],
            event_type=found.get(attributes.EVENT_TYPE) or "",
            # Of a run that went on in another execution: when the first began.
            started_at=datetime.fromisoformat(str(memo["started_at"]))
            if "started_at" in memo
            else execution.start_time,
            ended_at=execution.close_time,
            trace_id=str(memo.get("trace_id", "")),
            ui_url=self._link(execution),
        )

    def _link(self, execution: WorkflowExecution) -> str:
        if not self._ui_url:
            return ""
        return f"{self._ui_url}/namespaces/{self._client.namespace}/workflows/{execution.id}/{execution.run_id}/history"


def _lacks_namespace(error: RPCError) -> bool:
    """Whether what was not found is more than one run."""
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)
