"""The consumer on a real (in-process) cluster: nothing is committed before it was handled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from factotum.events.lag import UNKNOWN, LagReader
from factotum.events.producer import EventProducer
from factotum.events.stream import Consumer, Received
from factotum.events.topics import OBSERVATIONS, OUTCOMES
from factotum.runtime.settings import KafkaSettings
from tests.support.kafka import embedded_kafka

Handle = Callable[[Sequence[Received]], Awaitable[None]]


@pytest.fixture
def kafka() -> Iterator[str]:
    with embedded_kafka() as bootstrap_servers:
        yield bootstrap_servers


async def publish(kafka: str, values: Sequence[str], topic: str = OBSERVATIONS) -> None:
    async with EventProducer(kafka, client_id="test") as producer:
        for value in values:
            headers = [("traceparent", b"00-parent")]
            await producer.publish_bytes(topic, value.encode(), key=value, content_type="text/plain", headers=headers)


@asynccontextmanager
async def consuming(kafka: str, handle: Handle, batch_size: int = 10) -> AsyncIterator[Consumer]:
    stop = asyncio.Event()
    settings = KafkaSettings(bootstrap_servers=kafka, embedded=True)
    consumer = Consumer(
        "test", (OBSERVATIONS, OUTCOMES), handle, kafka=settings, batch_size=batch_size, within_seconds=0.1
    )
    running = asyncio.ensure_future(consumer.run(stop))
    try:
        yield consumer
    finally:
        stop.set()
        await asyncio.wait_for(running, 20)


async def until(condition: Callable[[], bool], seconds: float = 45) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def test_messages_come_in_batches_with_their_headers_and_once(kafka: str) -> None:
    batches: list[Sequence[Received]] = []

    async def handle(batch: Sequence[Received]) -> None:
        batches.append(batch)

    await publish(kafka, [str(number) for number in range(35)])
    await publish(kafka, ["outcome"], OUTCOMES)
    async with consuming(kafka, handle):
        await until(lambda: sum(map(len, batches)) >= 36)
        await asyncio.sleep(1.5)  # longer than the commit interval
    async with consuming(kafka, handle):  # the same group again: nothing is left for it
        await publish(kafka, ["last"])
        await until(lambda: sum(map(len, batches)) >= 37)
    messages = [message for batch in batches for message in batch]
    assert max(map(len, batches)) == 10
    assert sorted(m.value.decode() for m in messages) == sorted([*map(str, range(35)), "outcome", "last"])
    assert {m.topic for m in messages} == {OBSERVATIONS, OUTCOMES}
    assert messages[0].headers == {"content-type": b"text/plain", "traceparent": b"00-parent"}
    assert messages[0].key == messages[0].value


async def test_a_batch_whose_handler_failed_comes_again_with_all_that_followed(kafka: str) -> None:
    handled: list[str] = []
    calls = 0

    async def handle(batch: Sequence[Received]) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ValueError("not handled")
        handled.extend(message.value.decode() for message in batch)

    await publish(kafka, [str(number) for number in range(35)])
    async with consuming(kafka, handle):
        await until(lambda: set(handled) >= {str(number) for number in range(35)})
    assert calls >= 4


async def test_a_stop_while_a_batch_is_under_way_does_not_commit_it(kafka: str) -> None:
    """Faust's own `take` would: it acknowledges when its taker is cancelled."""
    first: list[str] = []
    second: list[str] = []

    async def hang(batch: Sequence[Received]) -> None:
        first.extend(message.value.decode() for message in batch)
        await asyncio.Future()

    async def handle(batch: Sequence[Received]) -> None:
        second.extend(message.value.decode() for message in batch)

    await publish(kafka, ["a", "b", "c"])
    async with consuming(kafka, hang):
        await until(lambda: bool(first))
        await asyncio.sleep(1.5)
    async with consuming(kafka, handle):
        await until(lambda: set(second) == {"a", "b", "c"})


async def test_a_kafka_that_is_away_is_waited_for() -> None:
    async def handle(batch: Sequence[Received]) -> None:
        raise AssertionError("nothing to handle")

    async with consuming("127.0.0.1:9", handle) as consumer:
        await asyncio.sleep(2)
        assert await consumer.lag() == UNKNOWN


async def test_the_lag_is_what_was_not_handled_yet(kafka: str) -> None:
    go, handled = asyncio.Event(), 0

    async def handle(batch: Sequence[Received]) -> None:
        nonlocal handled
        await go.wait()
        handled += len(batch)

    await publish(kafka, [str(number) for number in range(20)])
    await publish(kafka, ["a", "b", "c"], OUTCOMES)
    async with consuming(kafka, handle) as consumer:
        async with asyncio.timeout(10):
            while (lag := await consumer.lag()) == UNKNOWN:  # it has not begun to run
                await asyncio.sleep(0.01)
        assert lag == 23
        go.set()
        await until(lambda: handled == 23)
        # At once: what was handled is committed only a second later.
        async with asyncio.timeout(0.5):
            while await consumer.lag():
                await asyncio.sleep(0)
        go.clear()
        await publish(kafka, ["d", "e"])
        assert await consumer.lag() == 2
        go.set()
        await until(lambda: handled == 25)
        await asyncio.sleep(1.5)  # longer than the commit interval
    assert await consumer.lag() == UNKNOWN
    reader = LagReader(kafka, "test", (OBSERVATIONS, OUTCOMES))  # knows only what was committed
    assert await reader.read({}) == 0
    await publish(kafka, ["f"])
    assert await reader.read({}) == 1
    await reader.close()
