"""The schedule of the memory's consolidation, on a real Temporal server with a real gRPC server for the memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import grpc
import pytest
from temporalio.client import Client, Schedule, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Worker

from factotum.activities.consolidation import Consolidations
from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.runs.upkeep import schedule_consolidation
from factotum.runtime.grpc_client import channel
from factotum.worker.pool import sandbox
from factotum.workflows.contract import Consolidated
from factotum.workflows.upkeep import CONSOLIDATION, Consolidation
from tests.support.stubs import Stubs, stubs
from tests.support.temporal import temporal_server

QUEUE = "upkeep"


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[Client]:
    async with temporal_server() as environment:
        yield environment.client


@pytest.fixture
def parts() -> Iterator[Stubs]:
    with stubs() as made:
        yield made


@pytest.fixture
async def client(temporal: Client, parts: Stubs) -> AsyncIterator[Client]:
    async with (
        channel(parts.environment["FACTOTUM_MEMORY_ADDRESS"]) as memory,
        Worker(
            temporal,
            task_queue=QUEUE,
            workflows=[Consolidation],
            activities=[Consolidations(memory).consolidate],
            workflow_runner=sandbox(),
        ),
    ):
        yield temporal
    await schedule_consolidation(temporal, task_queue=QUEUE, every=timedelta(0))


async def scheduled(client: Client) -> Schedule:
    return (await client.get_schedule_handle(CONSOLIDATION).describe()).schedule


async def started(client: Client) -> WorkflowHandle[Consolidation, Consolidated]:
    """The workflow that the schedule starts when it is triggered."""
    handle = client.get_schedule_handle(CONSOLIDATION)
    await handle.trigger()
    while not (actions := (await handle.describe()).info.recent_actions):
        await asyncio.sleep(0.05)
    found = actions[-1].action
    return client.get_workflow_handle(found.workflow_id, result_type=Consolidated)  # type: ignore[union-attr]


async def test_the_schedule_asks_the_memory_for_all_tenants(client: Client, parts: Stubs) -> None:
    parts.memory.answers["Consolidate"] = pb.ConsolidateResponse(folded=7, expired=2)
    await schedule_consolidation(client, task_queue=QUEUE, every=timedelta(hours=6))
    done = await asyncio.wait_for((await started(client)).result(), 20)
    assert done == Consolidated(folded=7, expired=2)
    assert parts.memory.requests == [pb.ConsolidateRequest()]
    assert (await scheduled(client)).spec.intervals[0].every == timedelta(hours=6)


async def test_a_memory_that_is_away_is_asked_again(client: Client, parts: Stubs) -> None:
    away = (grpc.StatusCode.UNAVAILABLE, "the store is away")
    parts.memory.answers["Consolidate"] = [away, pb.ConsolidateResponse(folded=1)]
    await schedule_consolidation(client, task_queue=QUEUE, every=timedelta(hours=6))
    done = await asyncio.wait_for((await started(client)).result(), 20)
    assert done == Consolidated(folded=1, expired=0)
    assert len(parts.memory.requests) == 2


async def test_another_interval_takes_its_place_and_a_pause_of_a_person_stays(client: Client) -> None:
    await schedule_consolidation(client, task_queue=QUEUE, every=timedelta(hours=6))
    await client.get_schedule_handle(CONSOLIDATION).pause(note="migration")
    await schedule_consolidation(client, task_queue=QUEUE, every=timedelta(hours=12))
    found = await scheduled(client)
    assert found.spec.intervals[0].every == timedelta(hours=12)
    assert found.state.paused and found.state.note == "migration"


async def test_none_is_asked_for(client: Client) -> None:
    await schedule_consolidation(client, task_queue=QUEUE, every=timedelta(hours=6))
    await schedule_consolidation(client, task_queue=QUEUE, every=timedelta(0))
    with pytest.raises(RPCError, match="not found"):
        await scheduled(client)
    await schedule_consolidation(client, task_queue=QUEUE, every=timedelta(0))


async def test_what_the_memory_refuses_for_good_is_not_asked_again(client: Client, parts: Stubs) -> None:
    parts.memory.answers["Consolidate"] = (grpc.StatusCode.INVALID_ARGUMENT, "records[0].topic: at most 256 characters")
    await schedule_consolidation(client, task_queue=QUEUE, every=timedelta(hours=6))
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for((await started(client)).result(), 20)
    assert len(parts.memory.requests) == 1
