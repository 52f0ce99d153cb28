"""Looking whether an event stands in a topic already, for one who may have published it before."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from factotum.events.envelope import Event, MalformedEvent
from factotum.events.errors import BrokerUnavailable

# Messages of one partition that are looked at, from its end.
MOST_MESSAGES = 1000
READ_SECONDS = 30.0


async def stands_in(bootstrap_servers: str, topic: str, partition: int, event: Event) -> bool:
    """Whether an event with the id and source of this one is among the last messages of a partition.

    Raises `BrokerUnavailable`.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    place = TopicPartition(topic, partition)
    try:
        async with asyncio.timeout(READ_SECONDS):
            await consumer.start()
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            begin = max((await consumer.beginning_offsets([place]))[place], end - MOST_MESSAGES)
            consumer.seek(place, begin)
            # The position, not the count: offsets have gaps where transactions or retention left them.
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(place, timeout_ms=500)).values():
                    if any(_is(record.value, event) for record in records):
                        return True
            return False
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"Kafka at {bootstrap_servers} does not answer: {type(error).__name__}") from error
    finally:
        await consumer.stop()


def _is(value: bytes | None, event: Event) -> bool:
    try:
        found = Event.from_bytes(value or b"")
    except MalformedEvent:
        return False
    return (found.tenant, found.source, found.id) == (event.tenant, event.source, event.id)
