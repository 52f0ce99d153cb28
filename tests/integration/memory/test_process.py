"""The memory as a process between a real Kafka and a real Milvus Lite, killed in the middle of its work."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, KIND_OBSERVATION, RecallRequest, Record
from factotum.api.memory.v1.memory_pb2_grpc import MemoryServiceStub
from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import DEAD_LETTER, OBSERVATIONS, OUTCOMES
from factotum.memory.main import SPACE
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Scope
from factotum.runtime.grpc_client import channel
from tests.support.kafka import embedded_kafka, read_all
from tests.support.memory import observation, outcome, start_service
from tests.support.processes import free_port

RUN = "acme.employee-onboarding.ab12"


async def publish(kafka: str, topic: str, events: Sequence[Event]) -> None:
    async with EventProducer(kafka, client_id="test") as producer:
        await asyncio.gather(*(producer.publish(topic, event) for event in events))


async def all_records(path: Path, tenant: str, word: str) -> tuple[list[Record], list[Record]]:
    """What each of the two indexes holds; only while no service has the file open."""
    async with MemoryStore(str(path), space=SPACE) as store:
        by_meaning, by_words = await store.search(Scope(tenant=tenant), np.full(384, 0.051, np.float32), word, 2000)
        kept = await store.get(tenant, [candidate.id for candidate in (*by_meaning, *by_words)])
        return [kept[each.id] for each in by_meaning], [kept[each.id] for each in by_words]


async def test_the_episode_of_a_run_is_found_by_whom_it_was_about(
    kafka: str, model_cache: Path, tmp_path: Path
) -> None:
    port = free_port()
    service = await start_service(tmp_path, model_cache, kafka, port)
    try:
        await publish(kafka, OBSERVATIONS, [observation("o1"), observation("o2", tenant="globex")])
        async with EventProducer(kafka, client_id="test") as producer:
            await producer.publish_bytes(OUTCOMES, b"{", key="x", content_type="x")
        events = [outcome(RUN), outcome("globex.employee-onboarding.ab12", tenant="globex")]
        await publish(kafka, OUTCOMES, [*events, *events, *events])
        async with channel(f"127.0.0.1:{port}") as connected:
            memory = MemoryServiceStub(connected)

            async def found(tenant: str, *kinds: int) -> list[str]:
                request = RecallRequest(tenant=tenant, query="what did we do for Ada Lovelace", kinds=kinds, limit=100)
                return [r.record.run_id for r in (await memory.Recall(request)).recollections]

            async with asyncio.timeout(60):
                while not (await found("acme", KIND_EPISODE) and await found("globex", KIND_EPISODE)):
                    await asyncio.sleep(0.1)
                while not await found("acme", KIND_OBSERVATION):
                    await asyncio.sleep(0.1)
            assert await found("acme", KIND_EPISODE) == [RUN]
            assert await found("globex", KIND_EPISODE) == ["globex.employee-onboarding.ab12"]
        assert len(read_all(kafka, DEAD_LETTER)) == 1
        assert await service.stop() == 0
    finally:
        await service.kill()


async def test_killed_in_the_middle_again_and_again_all_is_there_once(model_cache: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    events: list[Event] = []
    with embedded_kafka() as kafka:
        for kill in range(3):
            run = f"acme.employee-onboarding.{kill}"
            some = [observation(f"{kill}-{n}", run_id=run, note=f"Observation {n}.") for n in range(120)]
            events += some
            await publish(kafka, OBSERVATIONS, some)
            port = free_port()
            service = await start_service(tmp_path, model_cache, kafka, port, {"FACTOTUM_INGEST__BATCH_SIZE": "16"})
            try:
                kept = await first_kept(port, run)
                assert 0 < kept < len(some), "the kill would not be in the middle"
                await asyncio.sleep(chance.uniform(0, 0.2))
            finally:
                await service.kill()
        await publish(kafka, OBSERVATIONS, events[:50])  # again, by a producer that was not sure
        service = await start_service(tmp_path, model_cache, kafka, free_port())
        try:
            await everything_is_committed(kafka)
        finally:
            assert await service.stop() == 0
    expected = sorted(event.id for event in events)
    by_meaning, by_words = await all_records(tmp_path / "memory.db", "acme", "observation")
    assert sorted(record.origin for record in by_meaning) == expected
    assert sorted(record.origin for record in by_words) == expected


async def first_kept(port: int, run_id: str) -> int:
    """Waits for the run's first records and says how many there are (at most 100)."""
    async with channel(f"127.0.0.1:{port}") as connected, asyncio.timeout(60):
        memory = MemoryServiceStub(connected)
        request = RecallRequest(tenant="acme", query="observation", run_id=run_id, limit=100)
        while not (kept := len((await memory.Recall(request)).recollections)):
            await asyncio.sleep(0.01)
        return kept


async def everything_is_committed(kafka: str) -> None:
    """The group's offsets stand at the end of the topic."""

    def lag() -> int:
        reader = Consumer({"bootstrap.servers": kafka, "group.id": "factotum-memory"})
        try:
            known = reader.list_topics(OBSERVATIONS).topics[OBSERVATIONS].partitions
            partitions = [TopicPartition(OBSERVATIONS, number) for number in known]
            ends = [reader.get_watermark_offsets(partition)[1] for partition in partitions]
            return sum(end - max(done.offset, 0) for end, done in zip(ends, reader.committed(partitions), strict=True))
        finally:
            reader.close()

    async with asyncio.timeout(90):
        while await asyncio.to_thread(lag):
            await asyncio.sleep(0.2)
