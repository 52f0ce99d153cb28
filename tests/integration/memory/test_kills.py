"""The memory's process is killed (-9) at random points of its ingest: everything is there once, in every index."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from factotum.api.memory.v1.memory_pb2 import RecallRequest
from factotum.api.memory.v1.memory_pb2_grpc import MemoryServiceStub
from factotum.events.envelope import Event
from factotum.events.lag import LagReader
from factotum.events.producer import EventProducer
from factotum.events.topics import DEAD_LETTER, OBSERVATIONS, OUTCOMES
from factotum.memory.ingest import memory_of
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Scope
from factotum.memory.stream import GROUP, TOPICS
from factotum.runtime.grpc_client import channel
from tests.support.embedding import default_space
from tests.support.forked import Forks, forks_of
from tests.support.kafka import embedded_kafka, read_all
from tests.support.memory import observation, outcome, service_env, serving
from tests.support.processes import free_port

TENANTS = ("acme", "globex")
# What is published for each life. What is not committed is handled again by the next one: there is always enough for a
# kill to be in the middle of it.
EVENTS = 24
MOST = 16_000


class House:
    """A Kafka, a database and a service that is killed again and again.

    Args:
        seed: of the points at which it is killed.
    """

    def __init__(self, number: int, seed: int, forks: Forks, directory: Path, model_cache: Path) -> None:
        self._number = number
        self._chance = random.Random(seed)
        self._forks = forks
        self._directory = directory
        self._model_cache = model_cache
        self._events: list[Event] = []
        # Of each kill, how many records of its life were seen before it.
        self.seen: list[int] = []

    async def run(self, kills: int) -> None:
        with embedded_kafka() as kafka:
            for life in range(kills):
                await self._publish(kafka, life)
                await self._live_and_be_killed(kafka, life)
            await self._live_to_the_end(kafka)
            assert not read_all(kafka, DEAD_LETTER)
        async with MemoryStore(str(self._directory / "memory.db"), space=default_space()) as store:
            for tenant in TENANTS:
                await self._check(store, tenant)

    async def _publish(self, kafka: str, life: int) -> None:
        run = f"{self._number}.{life}"
        new = [outcome(f"{tenant}.onboarding.{run}", tenant=tenant) for tenant in TENANTS]
        for number in range(EVENTS):
            tenant = TENANTS[number % 2]
            note = f"Observation {number} of life {life}."
            new.append(observation(f"{run}-{number}", tenant=tenant, run_id=f"{tenant}.onboarding.{run}", note=note))
        # Some come again, by a producer that was not sure.
        again = self._chance.sample(self._events, min(5, len(self._events)))
        self._events += new
        self._chance.shuffle(new)
        async with EventProducer(kafka, client_id="test") as producer:
            await asyncio.gather(
                *(
                    producer.publish(OUTCOMES if "outcome" in event.type else OBSERVATIONS, event)
                    for event in new + again
                )
            )

    async def _live_and_be_killed(self, kafka: str, life: int) -> None:
        port = free_port()
        service = await self._forks.start(self._env(kafka, port, 8), self._directory / "memory.log", serving(port))
        try:
            # One in four is killed at any point of its beginning, the others in the middle of a batch.
            if self._chance.random() < 0.25:
                await asyncio.sleep(self._chance.uniform(0, 5))
            else:
                self.seen.append(await first_kept(port, f"acme.onboarding.{self._number}.{life}"))
                await asyncio.sleep(self._chance.uniform(0, 0.5))
        finally:
            await service.kill()

    async def _live_to_the_end(self, kafka: str) -> None:
        port = free_port()
        service = await self._forks.start(self._env(kafka, port, 64), self._directory / "memory.log", serving(port))
        reader = LagReader(kafka, GROUP, TOPICS)
        try:
            async with asyncio.timeout(600):
                while await reader.read({}) != 0:
                    await asyncio.sleep(0.2)
        finally:
            await reader.close()
            assert await service.stop() == 0

    async def _check(self, store: MemoryStore, tenant: str) -> None:
        expected = sorted(memory_of(event).id for event in self._events if event.tenant == tenant)
        scope = Scope(tenant=tenant, history=True)
        records = [record async for record in store.records(scope)]
        by_meaning, by_words = await store.search(scope, np.full(384, 0.051, np.float32), "onboarding", MOST)
        assert len(await store.get(tenant, expected)) == len(expected)
        steps = [(record.place.sequence, record.place.position) for record in records if record.place.sequence]
        assert len(set(steps)) == len(steps) == EVENTS // 2 * len({run for run, _ in steps}), "a place of two steps"
        listed = sorted(record.id for record in records)
        for name, found in (("list", listed), ("meaning", ids(by_meaning)), ("words", ids(by_words))):
            assert found == expected, (tenant, name, Counter(found) - Counter(expected), set(expected) - set(found))

    def _env(self, kafka: str, port: int, batch_size: int) -> dict[str, str]:
        env = service_env(self._directory, self._model_cache, kafka, port)
        return env | {"FACTOTUM_INGEST__BATCH_SIZE": str(batch_size), "FACTOTUM_EMBEDDING__THREADS": "1"}


def ids(candidates: Sequence[object]) -> list[str]:
    return sorted(str(candidate.id) for candidate in candidates)


async def first_kept(port: int, run_id: str) -> int:
    """Waits for the first records of the run and says how many there are."""
    async with channel(f"127.0.0.1:{port}") as connected, asyncio.timeout(90):
        memory = MemoryServiceStub(connected)
        request = RecallRequest(tenant="acme", query="onboarding", run_id=run_id, limit=100)
        while not (kept := len((await memory.Recall(request)).recollections)):
            await asyncio.sleep(0.02)
        return kept


async def kill(times: Sequence[int], seed: int, tmp_path: Path, model_cache: Path) -> None:
    """Kills the services of as many houses, each so often."""
    async with forks_of("factotum.memory.main") as forks:
        houses = []
        for number in range(len(times)):
            directory = tmp_path / str(number)
            directory.mkdir()
            houses.append(House(number, seed + number, forks, directory, model_cache))
        async with asyncio.TaskGroup() as group:
            for house, kills in zip(houses, times, strict=True):
                group.create_task(house.run(kills))
        assert any(seen < EVENTS // 4 for house in houses for seen in house.seen), "no kill was in the middle"


@pytest.mark.usefixtures("embedder")  # which fills the cache of models
async def test_killed_five_times(tmp_path: Path, model_cache: Path) -> None:
    await kill([1] * 5, 7, tmp_path, model_cache)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("embedder")
async def test_killed_a_hundred_times(tmp_path: Path, model_cache: Path) -> None:
    await kill([25, 25, 25, 25], 4711, tmp_path, model_cache)
