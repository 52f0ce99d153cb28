"""Reading the dead letter and sending letters back to where they came from.

A topic has no deletions: that a letter was replayed is one more event on the same topic, with the
letter's id as its subject. Open are the letters that no such event names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from factotum.events import topics
from factotum.events.dead_letter import DEAD_LETTER_TYPE, DeadLetterData, DeadLetterEvent
from factotum.events.envelope import CONTENT_TYPE, Event, MalformedEvent
from factotum.events.errors import BrokerUnavailable
from factotum.events.producer import EventProducer

REPLAYED_TYPE = "dev.factotum.dead-letter.replayed.v1"


class NotReplayable(ValueError):
    """The letter names a topic that nothing is replayed to, or does not hold the whole message."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and what it holds."""

    id: str
    tenant: str
    time: datetime | None
    data: DeadLetterData


async def read_topic(bootstrap_servers: str, topic: str, *, timeout_seconds: float) -> list[bytes]:
    """Every value that the topic holds at this moment, partition by partition. Commits nothing.

    Raises `BrokerUnavailable`.
    """
    # The offset reset, not a seek, begins at the beginning: a seek can be overtaken by a reset under way.
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap_servers, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            await consumer.start()
            return [record.value for record in await _to_the_end(consumer, topic)]
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"Kafka at {bootstrap_servers} does not answer: {type(error).__name__}") from error
    finally:
        await consumer.stop()


async def _to_the_end(consumer: AIOKafkaConsumer, topic: str) -> list[ConsumerRecord]:
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    if not partitions:
        return []
    ends = await consumer.end_offsets(partitions)
    found: dict[TopicPartition, list[ConsumerRecord]] = {partition: [] for partition in partitions}
    # The position, not the count: offsets have gaps where transactions or retention left them.
    while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
        for partition, records in (await consumer.getmany(*partitions, timeout_ms=500)).items():
            found[partition] += [record for record in records if record.offset < ends[partition]]
    return [record for partition in partitions for record in found[partition]]


def open_letters(values: Iterable[bytes], tenant: str) -> list[Letter]:
    """The letters of a tenant that were not replayed; oldest first.

    Those of which no tenant is known may hold any tenant's data: they are under `UNKNOWN_TENANT` only. A
    letter that stands in the topic twice is one letter. What is neither a letter nor the note of a replay
    is passed over.
    """
    letters: dict[str, Letter] = {}
    replayed: set[str] = set()
    for value in values:
        try:
            event = DeadLetterEvent.from_bytes(value)
            if event.type == REPLAYED_TYPE and event.subject is not None:
                replayed.add(event.subject)
            elif event.type == DEAD_LETTER_TYPE and event.tenant == tenant:
                data = DeadLetterData.model_validate(event.data)
                letters[event.id] = Letter(event.id, event.tenant, event.time, data)
        except (MalformedEvent, ValidationError):
            continue
    return [letter for letter in letters.values() if letter.id not in replayed]


async def replay(producer: EventProducer, letter: Letter, *, now: datetime) -> None:
    """Sends the original bytes to their topic and notes that it was done.

    Between the two a crash leaves the letter open: it is then replayed a second time, which starts no
    second run. Raises `NotReplayable`, `BrokerUnavailable`.
    """
    topic = letter.data.topic
    if topic not in topics.ALL or topic == topics.DEAD_LETTER:
        raise NotReplayable(f"letter {letter.id} came from {topic!r}, to which nothing is replayed")
    if not letter.data.whole:
        where = f"{topic}, partition {letter.data.partition}, offset {letter.data.offset}"
        raise NotReplayable(f"letter {letter.id} holds only the beginning of a large message, which stood in {where}")
    await producer.publish_bytes(topic, letter.data.value, key=_key(letter), content_type=CONTENT_TYPE)
    await producer.publish(
        topics.DEAD_LETTER,
        DeadLetterEvent(
            id=str(uuid5(NAMESPACE_URL, f"factotum:replayed:{letter.id}")),
            source="/cli",
            type=REPLAYED_TYPE,
            tenant=letter.tenant,
            subject=letter.id,
            time=now,
            data={"topic": topic},
        ),
    )


def _key(letter: Letter) -> str:
    """The key under which the message would have been published, so that it keeps its order."""
    try:
        event = Event.from_bytes(letter.data.value)
    except MalformedEvent:
        return f"{letter.tenant}/{letter.id}"
    return f"{event.tenant}/{event.subject or event.id}"
