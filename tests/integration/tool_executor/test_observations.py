"""Observations reach Kafka, once under their id, and no call waits for it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from factotum.events import topics
from factotum.events.envelope import CONTENT_TYPE, Event
from factotum.events.types import ObservationData
from tests.support.executor_process import ExecutorProcess
from tests.support.kafka import Message, embedded_kafka, read_all
from tests.support.tool_calls import closed_port

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


async def observations(bootstrap_servers: str, tenant: str, count: int) -> list[Message]:
    async with asyncio.timeout(20):
        while True:
            messages = await asyncio.to_thread(read_all, bootstrap_servers, topics.OBSERVATIONS)
            mine = [message for message in messages if message.key.startswith(f"{tenant}/".encode())]
            # What it can do is told there, too.
            mine = [message for message in mine if message.key != f"{tenant}/tools".encode()]
            if len(mine) >= count:
                return mine
            await asyncio.sleep(0.2)


async def test_each_call_is_published_with_its_trace(executor: ExecutorProcess) -> None:
    executor.world.script("refuse")
    for _ in range(3):  # refused, done, replayed
        await executor.execute("create", tenant="globex", traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-01")
    messages = await observations(executor.bootstrap_servers, "globex", 2)
    await asyncio.sleep(0.5)
    messages = await observations(executor.bootstrap_servers, "globex", 2)
    assert len(messages) == 2 and {message.key for message in messages} == {b"globex/run"}
    events = [Event.from_bytes(message.value) for message in messages]
    refused, done = (ObservationData.model_validate(event.data) for event in events)
    assert refused.error is not None and refused.error.kind == "conflict"
    assert done.output == {"id": "globex-0", "name": "ada"} and done.run_id == "run"
    for message in messages:
        assert message.headers["content-type"].decode() == CONTENT_TYPE
        assert message.headers["traceparent"].decode().split("-")[1] == TRACE_ID


async def test_while_kafka_is_away_calls_succeed_and_are_told_later(tmp_path: Path) -> None:
    executor = ExecutorProcess(tmp_path, f"127.0.0.1:{closed_port()}")
    await executor.start()
    try:
        started = time.monotonic()
        for number in range(5):
            assert (await executor.execute("create", f"key-{number}")).output_json
        assert time.monotonic() - started < 2
        assert await executor.stop() == 0
        with embedded_kafka() as bootstrap_servers:
            executor.bootstrap_servers = bootstrap_servers
            await executor.start()
            messages = await observations(bootstrap_servers, "acme", 5)
            assert len({Event.from_bytes(message.value).id for message in messages}) == 5
    finally:
        await executor.close()
