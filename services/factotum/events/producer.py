"""Publishing: nothing is said to be published before every in-sync replica has it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    RecordListTooLargeError,
)
from aiokafka.partitioner import DefaultPartitioner
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

from factotum.events import read_back
from factotum.events.envelope import CONTENT_TYPE, Event
from factotum.events.errors import BrokerUnavailable, EventTooLarge

tracer = trace.get_tracer(__name__)

# Before compression; the broker has the last word.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

Header = tuple[str, bytes]


def trace_headers() -> list[Header]:
    """The current W3C trace context (`traceparent`, `tracestate`) as Kafka headers."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return [(name, value.encode()) for name, value in carrier.items()]


def _key(event: Event) -> str:
    return f"{event.tenant}/{event.subject or event.id}"


class EventProducer:
    """An idempotent producer (acks=all). Use as an async context manager.

    Starting does not fail while Kafka is away: the connection is made, and made again, when an
    event is published.

    Args:
        bootstrap_servers: `host:port[,host:port…]`.
        timeout_seconds: how long one `publish` waits for its acknowledgement.
    """

    def __init__(self, bootstrap_servers: str, *, client_id: str, timeout_seconds: float = 10.0) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._timeout = timeout_seconds
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._stop(producer)

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        """Flushes for as long as one publication may take. While Kafka is away an idempotent producer
        would flush for ever; what is given up then was never acknowledged, and said so to its caller."""
        try:
            async with asyncio.timeout(self._timeout):
                await producer.stop()
        except TimeoutError:
            # aiokafka has no public way to stop without flushing.
            await producer._sender.close()
            await producer.client.close()

    async def publish(self, topic: str, event: Event) -> None:
        """Returns once Kafka has acknowledged the event. Raises `BrokerUnavailable` or `EventTooLarge` otherwise."""
        await self.publish_bytes(topic, event.to_bytes(), key=_key(event), content_type=CONTENT_TYPE)

    async def published_before(self, topic: str, event: Event) -> bool:
        """Whether the event is there already: for one who does not know what came of an earlier `publish`.

        What this producer has under way is waited for. Another's may still arrive, and only the last
        messages of the event's partition are looked at (`read_back`): False is very likely so. Raises
        `BrokerUnavailable`.
        """
        try:
            async with asyncio.timeout(self._timeout):
                producer = await self._started()
                await producer.flush()
                partitions = sorted(await producer.partitions_for(topic))
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(f"Kafka at {self._bootstrap_servers} does not answer: {error}") from error
        partition = DefaultPartitioner()(_key(event).encode(), partitions, partitions)
        return await read_back.stands_in(self._bootstrap_servers, topic, partition, event)

    async def publish_bytes(
        self, topic: str, value: bytes, *, key: str, content_type: str, headers: list[Header] | None = None
    ) -> None:
        """As `publish`, for bytes that need not be an event, such as what a dead letter held."""
        with tracer.start_as_current_span(f"publish {topic}", kind=SpanKind.PRODUCER) as span:
            span.set_attribute("messaging.system", "kafka")
            span.set_attribute("messaging.destination.name", topic)
            sent = [("content-type", content_type.encode()), *(headers or trace_headers())]
            try:
                async with asyncio.timeout(self._timeout):
                    producer = await self._started()
                    await producer.send_and_wait(topic, value, key=key.encode(), headers=sent)
            # The first is said before anything is sent or by the broker, the second by the broker.
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                await self._discard()
                raise EventTooLarge(f"Kafka takes no message of {len(value)} bytes on {topic}: {error}") from error
            except (KafkaError, OSError, TimeoutError) as error:
                if isinstance(error, OutOfOrderSequenceNumber):
                    await self._discard()
                raise BrokerUnavailable(
                    f"Kafka at {self._bootstrap_servers} did not acknowledge within {self._timeout:g} s: "
                    f"{type(error).__name__} {error}".rstrip()
                ) from error

    async def reachable(self) -> bool:
        """Whether a broker answers now; for readiness probes."""
        try:
            async with asyncio.timeout(self._timeout):
                producer = await self._started()
                await producer.client.fetch_all_metadata()
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    async def _discard(self) -> None:
        """The next publication has a new producer. aiokafka counts a message that the broker refused, the
        broker does not: from then on it would find every one of this producer's out of order."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._stop(producer)

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            async with self._starting:
                if self._producer is None:
                    producer = AIOKafkaProducer(
                        bootstrap_servers=self._bootstrap_servers,
                        client_id=self._client_id,
                        acks="all",
                        enable_idempotence=True,
                        request_timeout_ms=int(self._timeout * 1000),
                        # The broker's limit is on what it stores: what is compressed. A dead letter holds a
                        # whole event in base64, and must still pass where the event did.
                        compression_type="gzip",
                        max_request_size=MAX_MESSAGE_BYTES,
                    )
                    try:
                        await producer.start()
                    except BaseException:
                        await producer.stop()
                        raise
                    self._producer = producer
        return self._producer
