"""Random documents end the same in the simulator, on Temporal, and where workers come and go at random."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from unittest import mock

import hypothesis
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from factotum.simulation import simulation
from factotum.simulation.simulation import Scenario, simulate
from factotum.workflows.contract import Limits, RunInput
from tests.support.documents import documents
from tests.support.keyed_executor import Effect, KeyedExecutor, SimulatedTools, keyed_executor
from tests.support.temporal import temporal_server
from tests.support.worker_bench import WorkerBench, bench_on, result

Json = Any
# Carries runs out until they have ended.
Carry = Callable[[WorkerBench, Awaitable[list["Ended"]]], Awaitable[list["Ended"]]]
GIVEN = {"a": 1, "b": 2}
# Bytes of a document: smaller ones show little, larger ones take long.
SIZES = range(600, 2500)
# Every second run moves when its history has so many events.
HISTORY_EVENTS = 24


@dataclass(frozen=True)
class Ended:
    """How a run ended: its output or its problem, and every effect, in no order, since branches have none."""

    output: Json
    problem: Json
    done: list[Effect]


class Enough(Exception):
    """As many documents as were asked for are there."""


def drawn(amount: int, seed: int) -> list[Json]:
    """Random documents of a telling size, all different; from the same seed the same ones."""
    found: list[Json] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=amount * 20,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(documents())
    def keep(raw: Json) -> None:
        if len(json.dumps(raw)) in SIZES and raw not in found:
            found.append(raw)
        if len(found) >= amount:
            raise Enough

    with suppress(Enough):
        keep()
    return found


def simulated(raw: Json) -> Ended:
    tools = SimulatedTools()
    with mock.patch.object(simulation, "Answers", lambda *_: tools):
        found = simulate(Scenario(raw=raw, input=GIVEN))
    assert found.status in ("completed", "failed"), found.status
    # A `try` that is tried again asks for the effects that it has had under the same keys: the simulator answers anew.
    return Ended(found.output, found.error, sorted(set(tools.done)))


async def on_temporal(bench: WorkerBench, run_id: str, raw: Json, *, moves: bool) -> Ended:
    assert isinstance(bench.executor, KeyedExecutor)
    limits = Limits(history_events=HISTORY_EVENTS if moves else 0)
    handle = await bench.start(run_id, RunInput(tenant="acme", document=raw, input=GIVEN, limits=limits))
    output, problem = None, None
    try:
        output = await result(handle)
    except WorkflowFailureError as error:
        assert isinstance(error.cause, ApplicationError), error.cause
        problem = error.cause.details[0]
    return Ended(output, problem, sorted(bench.executor.done.get(run_id, [])))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with temporal_server() as environment:
        yield environment.client


async def compare(client: Client, amount: int, carry: Carry, *, flaky: bool = True) -> None:
    seed = random.randrange(10**6)
    raws = await asyncio.to_thread(drawn, amount, seed)
    if not flaky:
        raws = [json.loads(json.dumps(raw).replace("test.flaky", "test.echo")) for raw in raws]
    assert len(raws) == amount
    expected = [await asyncio.to_thread(simulated, raw) for raw in raws]
    async with keyed_executor() as executor, bench_on(client, f"random-{seed}", executor) as bench:
        runs = asyncio.gather(
            *(
                on_temporal(bench, f"acme.random.{seed}.{index}", raw, moves=index % 2 == 0)
                for index, raw in enumerate(raws)
            )
        )
        found = await carry(bench, runs)
    for raw, ended, wanted in zip(raws, found, expected, strict=True):
        assert ended == wanted, f"seed {seed}: {json.dumps(raw)}"
    assert executor.changed == []


async def coming_and_going(bench: WorkerBench, runs: Awaitable[list[Ended]]) -> list[Ended]:
    """Workers that keep no run in memory, so that every task of a run is a replay, each for a while only."""
    dice = random.Random(bench.task_queue)
    ended = asyncio.ensure_future(runs)
    while not ended.done():
        async with bench.worker(max_cached_workflows=0, sandboxed=False):
            await asyncio.wait({ended}, timeout=dice.uniform(0.2, 1.5))
    return await ended


async def test_random_documents_end_the_same_where_workers_come_and_go(client: Client) -> None:
    await compare(client, 8, coming_and_going)


async def killed(bench: WorkerBench, runs: Awaitable[list[Ended]]) -> list[Ended]:
    """Workers in processes that are killed (SIGKILL) at random moments; the next one knows nothing of the last."""
    dice = random.Random(bench.task_queue)
    ended = asyncio.ensure_future(runs)
    server = bench.client.service_client.config.target_host
    while not ended.done():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.worker_process", server, bench.executor.address, bench.task_queue
        )
        try:
            await asyncio.wait({ended}, timeout=dice.uniform(3.0, 12.0))
        finally:
            process.kill()
            await process.wait()
    return await ended


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_random_documents_end_the_same_where_workers_are_killed(client: Client) -> None:
    # What a `try` sees of a call that fails once depends on whether the answer came through before the kill.
    await compare(client, 60, killed, flaky=False)
