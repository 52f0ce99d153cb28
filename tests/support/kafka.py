"""Kafka for tests: librdkafka's in-process cluster, and a reader of everything that a topic holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer, TopicPartition

from factotum.events import topics


@dataclass(frozen=True)
class Message:
    key: bytes
    value: bytes
    headers: dict[str, bytes]


@contextmanager
def embedded_kafka(names: Sequence[str] = topics.ALL) -> Iterator[str]:
    """The bootstrap servers of a cluster that lives until the context ends, with these topics."""
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused", "log_level": 0})
    try:
        broker = next(iter(cluster.list_topics(timeout=10).brokers.values()))
        for name in names:
            cluster.list_topics(name, timeout=10)
        yield f"{broker.host}:{broker.port}"
    finally:
        cluster.close()


def read_all(bootstrap_servers: str, topic: str) -> list[Message]:
    """Every message that the topic holds now, partition by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "test", "enable.auto.commit": False})
    messages = []
    try:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            consumer.assign([TopicPartition(topic, partition, 0)])
            count = 0
            while count < end:
                message = consumer.poll(10)
                assert message is not None and message.error() is None, message and message.error()
                headers = dict(message.headers() or [])
                messages.append(Message(message.key(), message.value(), headers))
                count += 1
    finally:
        consumer.close()
    return messages
