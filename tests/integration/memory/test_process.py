"""The memory as a process between a real Kafka and a real Milvus Lite."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, KIND_OBSERVATION, RecallRequest, StatusRequest
from factotum.api.memory.v1.memory_pb2_grpc import MemoryServiceStub
from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import DEAD_LETTER, OBSERVATIONS, OUTCOMES
from factotum.runtime.grpc_client import channel
from tests.support.kafka import read_all
from tests.support.memory import observation, outcome, start_service
from tests.support.processes import free_port

RUN = "acme.employee-onboarding.ab12"


async def publish(kafka: str, topic: str, events: Sequence[Event]) -> None:
    async with EventProducer(kafka, client_id="test") as producer:
        await asyncio.gather(*(producer.publish(topic, event) for event in events))


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
            async with asyncio.timeout(10):
                while (status := await memory.Status(StatusRequest(tenant="acme"))).lag:
                    await asyncio.sleep(0.1)
            assert dict(status.records) == {"episode": 1, "observation": 1}
        assert len(read_all(kafka, DEAD_LETTER)) == 1
        assert await service.stop() == 0
    finally:
        await service.kill()
