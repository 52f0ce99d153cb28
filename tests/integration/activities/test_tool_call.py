"""What the activity of a call does when its run is cancelled, over real gRPC."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from factotum.activities.tool_call import ToolCalls
from factotum.runtime.grpc_client import channel
from factotum.sdk.errors import Cancelled
from factotum.workflows.contract import ToolCall
from tests.support.executor import ScriptedExecutor, scripted_executor


@dataclass
class Attempt:
    """An attempt at a call that hangs until the executor is asked to end it, or for a second."""

    executor: ScriptedExecutor
    environment: ActivityEnvironment
    work: asyncio.Task[Any]

    async def cancel(self, details: ActivityCancellationDetails) -> Any:
        async with asyncio.timeout(5):
            while not self.executor.requests:
                await asyncio.sleep(0.01)
            self.environment.cancel(details)
            return await self.work


class Runs:
    """Stands for Temporal's client: knows one run, and the status it has."""

    def __init__(self, status: WorkflowExecutionStatus | None) -> None:
        self.status = status

    def get_workflow_handle(self, workflow_id: str, *, run_id: str) -> Runs:
        assert (workflow_id, run_id) == ("test", "test-run")
        return self

    async def describe(self, **_: Any) -> Runs:
        if self.status is None:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        return self


async def attempt(
    executor: ScriptedExecutor,
    connection: Any,
    *,
    settle: bool = False,
    run: WorkflowExecutionStatus | None = WorkflowExecutionStatus.RUNNING,
) -> Attempt:
    async def hang(_: object) -> Any:
        for _ in range(50):
            if executor.cancels:
                raise Cancelled("x.hang was cancelled", effect_possible=False)
            await asyncio.sleep(0.02)
        return {"ended": "by itself"}

    executor.answers["x.hang"] = executor.settled["x.hang"] = hang
    call = ToolCall(
        tenant="acme", tool="x.hang", arguments={}, idempotency_key="k", run_id="r", step="/", settle=settle
    )
    environment = ActivityEnvironment(cast(Client, Runs(run)))
    environment.payload_converter = pydantic_data_converter.payload_converter
    environment.info = replace(environment.info, start_to_close_timeout=timedelta(seconds=30))
    raw = RawValue(pydantic_data_converter.payload_converter.to_payload(call))
    work = asyncio.ensure_future(environment.run(ToolCalls(connection).call, [raw]))
    return Attempt(executor, environment, work)


async def test_the_executor_is_asked_to_end_the_call_and_its_answer_is_the_activitys() -> None:
    async with scripted_executor() as executor, channel(executor.address) as connection:
        with pytest.raises(ApplicationError) as ended:
            await (await attempt(executor, connection)).cancel(ActivityCancellationDetails(cancel_requested=True))
        assert (ended.value.type, ended.value.non_retryable, ended.value.details[0]) == ("cancelled", True, False)
        assert executor.cancels == [("acme", "k")]


@pytest.mark.parametrize("run", [WorkflowExecutionStatus.RUNNING, None], ids=["goes on", "cannot be asked"])
async def test_a_call_that_another_attempt_may_be_at_is_let_be(run: WorkflowExecutionStatus | None) -> None:
    async with scripted_executor() as executor, channel(executor.address) as connection:
        lost = await attempt(executor, connection, run=run)
        assert await lost.cancel(ActivityCancellationDetails(not_found=True)) == {"ended": "by itself"}
        assert executor.cancels == []


async def test_a_call_of_a_run_that_is_closed_is_ended() -> None:
    async with scripted_executor() as executor, channel(executor.address) as connection:
        with pytest.raises(ApplicationError, match="was cancelled"):
            left = await attempt(executor, connection, run=WorkflowExecutionStatus.TERMINATED)
            await left.cancel(ActivityCancellationDetails(not_found=True))
        assert executor.cancels == [("acme", "k")]


async def test_a_request_to_settle_goes_to_its_end() -> None:
    async with scripted_executor() as executor, channel(executor.address) as connection:
        settling = await attempt(executor, connection, settle=True)
        assert await settling.cancel(ActivityCancellationDetails(cancel_requested=True)) == {"ended": "by itself"}
        assert executor.cancels == []
