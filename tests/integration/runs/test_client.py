"""Runs as they are listed, on a real Temporal server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from factotum.procedures.parse import parse
from factotum.runs.client import Runs
from factotum.runs.view import RunStatus, RunView
from factotum.workflows.contract import RunInput
from tests.support.temporal import temporal_server

FAILS, COMPLETES = "fails", "completes"


@workflow.defn(dynamic=True)
class Ending:
    """Ends as its procedure's name says."""

    @workflow.run
    async def run(self, _: Sequence[RawValue]) -> Any:
        if workflow.info().workflow_type == FAILS:
            raise ApplicationError(f"no such group, says {workflow.info().workflow_id}", non_retryable=True)
        return {"done": True}


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    async with (
        temporal_server() as environment,
        Worker(
            environment.client,
            task_queue="endings",
            workflows=[Ending],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        yield environment.client


async def start(client: Client, runs: Runs, run_id: str, name: str) -> None:
    header = f"document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0'}}"
    source = parse(f"{header}\ndo:\n  - a: {{set: {{x: 1}}}}\n")
    assert await runs.start(run_id, RunInput(tenant="acme", document=source.raw), source.document)
    with contextlib.suppress(WorkflowFailureError):
        await client.get_workflow_handle(run_id).result()


async def listed(runs: Runs, count: int) -> list[RunView]:
    """Once all of them can be seen as ended: visibility comes a little later."""
    async with asyncio.timeout(20):
        while True:
            found = await runs.list("acme", limit=100)
            if len(found) == count and all(view.status is not RunStatus.RUNNING for view in found):
                return found
            await asyncio.sleep(0.1)


async def test_a_list_says_why_each_failed_run_failed(client: Client) -> None:
    runs = Runs(client, task_queue="endings", ui_url="")
    names = {f"acme.{name}.{number}": name for number in range(30) for name in (FAILS, COMPLETES)}
    await asyncio.gather(*(start(client, runs, run_id, name) for run_id, name in names.items()))
    found = await listed(runs, len(names))
    assert {view.id: view.failure for view in found} == {
        run_id: f"no such group, says {run_id}" if name == FAILS else "" for run_id, name in names.items()
    }
    one = await runs.get("acme", "acme.fails.0")
    assert one.failure == "no such group, says acme.fails.0"
    assert await runs.list("globex", limit=100) == []
