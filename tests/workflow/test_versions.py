"""A run stays with the interpreter it began with, until it continues as new or ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import Worker

from factotum.worker.versioning import deployment_version, make_current
from factotum.workflows.contract import RunInput
from tests.support.temporal import temporal_server
from tests.support.worker_bench import WorkerBench, result, worker_bench

QUEUE = "versions.test"
OLD, NEW = 1, 2
# Waits for somebody to say go, then does as it is told.
WAITS = {"listen": {"to": {"one": {"with": {"type": "go"}}}}}
CALLS = {"call": "x.add", "with": {"a": 1}}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench() -> AsyncIterator[WorkerBench]:
    async with temporal_server() as environment, worker_bench(environment.client, QUEUE) as made:
        yield made


def worker(bench: WorkerBench, interpreter: int) -> Worker:
    return bench.worker(version=deployment_version(QUEUE, interpreter))


def run(*tasks: dict[str, Any]) -> RunInput:
    document = {
        "document": {"dsl": "1.0.3", "namespace": "test", "name": "sample", "version": "1.0.0"},
        "do": [{f"t{index}": task} for index, task in enumerate(tasks)],
    }
    return RunInput(tenant="acme", document=document, input={})


async def interpreters(bench: WorkerBench, run_id: str) -> list[set[str]]:
    """Which interpreters each execution of the run went on with."""
    return [
        {
            event.workflow_task_completed_event_attributes.deployment_version.build_id
            for event in history.events
            if event.HasField("workflow_task_completed_event_attributes")
        }
        for history in await bench.histories(run_id)
    ]


async def current(bench: WorkerBench) -> str:
    version = deployment_version(QUEUE)
    described = await bench.client.workflow_service.describe_worker_deployment(
        DescribeWorkerDeploymentRequest(namespace="default", deployment_name=version.deployment_name)
    )
    return described.worker_deployment_info.routing_config.current_deployment_version.build_id


async def test_a_run_stays_with_its_interpreter_and_moves_to_the_newer_where_it_continues_as_new(
    bench: WorkerBench,
) -> None:
    old, new = worker(bench, OLD), worker(bench, NEW)
    async with new:
        async with old:
            assert await make_current(bench.client, deployment_version(QUEUE, OLD))
            stays = await bench.start("acme.stays.0", run(WAITS, {"set": {"x": 1}}))
            moves = await bench.start("acme.moves.0", run(CALLS, WAITS, CALLS, CALLS))
            left = await bench.start("acme.left.0", run(WAITS, {"set": {"x": 2}}))
            for handle in (stays, moves, left):
                await bench.heard.wanted(handle.id, [])

            # As several workers of one version do when they start together.
            made = await asyncio.gather(*(make_current(bench.client, deployment_version(QUEUE, NEW)) for _ in range(3)))
            assert made == [True] * 3
            assert not await make_current(bench.client, deployment_version(QUEUE, OLD)), "never back"
            assert await current(bench) == str(NEW)

            begun = await bench.start("acme.begun.0", run(CALLS))
            assert await result(begun) == {}
            assert await interpreters(bench, begun.id) == [{"2"}]
            await bench.tell(stays.id, "go")
            assert await result(stays) == {"x": 1}
            assert await interpreters(bench, stays.id) == [{"1"}]
            await bench.tell(moves.id, "go")
            assert await result(moves) == {}
            assert await interpreters(bench, moves.id) == [{"1"}, {"2"}]
            assert len([tool for tool, _ in bench.executor.calls if tool == "x.add"]) == 4, "nothing is done twice"

        # Nobody is there who could go on with it; it waits, and nothing is wrong with it.
        await bench.tell(left.id, "go")
        await asyncio.sleep(1)
        assert (await left.describe()).status is WorkflowExecutionStatus.RUNNING
        assert await interpreters(bench, left.id) == [{"1"}]
        async with worker(bench, OLD):
            assert await result(left) == {"x": 2}
        assert await interpreters(bench, left.id) == [{"1"}]
