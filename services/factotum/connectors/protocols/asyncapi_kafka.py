"""AsyncAPI over Kafka. Nothing is kept at the broker: what was read is in the cursor, offset by offset.

The only connector that speaks Kafka: the topics are those of a company's own systems, never Factotum's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from factotum.connectors.protocols.asyncapi_document import Target
from factotum.connectors.protocols.asyncapi_messages import (
    Inbound,
    Outbound,
    Receipt,
    Received,
    inbound,
    read_cursor,
    written,
    written_cursor,
)
from factotum.connectors.protocols.egress import Egress
from factotum.connectors.protocols.external_resource import nothing_begun
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Failed, InvalidArgument, NotFound, NotPermitted, Unavailable
from factotum.sdk.http import trust

KEY_HEADER = "idempotency-key"
_KIND = "kafka"
# How far back a topic is looked through for a message, in each of its partitions.
LOOKED_THROUGH = 10_000
# How far the clock that stamped a message may be from ours.
_CLOCK_SKEW = timedelta(minutes=1)
# RFC 7628 and KIP-431 name the mechanisms; the document's security schemes are AsyncAPI's.
_MECHANISMS = {"scramSha256": "SCRAM-SHA-256", "scramSha512": "SCRAM-SHA-512"}

Placed = list[TopicPartition]


class Broker:
    """Where a target's topic is, and what is shown there.

    Args:
        shown: the value of an `authorization` header: Basic is SASL's PLAIN, or SCRAM where the document says so,
            Bearer is OAUTHBEARER.
    """

    def __init__(self, target: Target, way: Egress, shown: str | None, context: ToolContext[Any]) -> None:
        self._target = target
        self._way = way
        self._context = context
        self._seconds: float = context.settings.timeout
        self._limit: int = context.settings.max_bytes
        self._options: dict[str, Any] = {
            "bootstrap_servers": target.server.rstrip("/"),
            "client_id": "factotum",
            "request_timeout_ms": int(self._seconds * 1000),
            **_security(target, shown),
        }

    async def publish(self, message: Outbound) -> Receipt:
        """Returns once every in-sync replica has the message."""
        headers = [(name, _bytes(value)) for name, value in message.headers.items()]
        headers.append((KEY_HEADER, self._context.idempotency_key.encode()))
        value = written(message.payload, self._target.content_type)
        async with self._consumer():
            pass  # the topic is there, and its brokers may be reached
        producer = AIOKafkaProducer(acks="all", enable_idempotence=True, max_request_size=self._limit, **self._options)
        try:
            with nothing_begun(), self._reaching():
                async with asyncio.timeout(self._seconds):
                    await producer.start()
            with self._reaching():
                async with asyncio.timeout(self._seconds):
                    sent = await producer.send_and_wait(self._target.address, value, headers=headers)
        finally:
            await producer.stop()
        return Receipt(partition=sent.partition, offset=sent.offset)

    async def find(self) -> Receipt | None:
        """Where the message of this call's key is; None if it certainly is not in the topic.

        Raises `Ambiguous` where the topic has more than can be looked through, or has lost what it had.
        """
        key = self._context.idempotency_key.encode()
        since = int((self._context.started_at - _CLOCK_SKEW).timestamp() * 1000)
        async with self._consumer() as (consumer, partitions):
            begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
            unsure = {place for place in partitions if begins[place] > 0 or ends[place] > LOOKED_THROUGH}
            for place in partitions:
                consumer.seek(place, max(begins[place], ends[place] - LOOKED_THROUGH))
            async with asyncio.timeout(self._seconds):
                while any([await consumer.position(place) < ends[place] for place in partitions]):
                    for place, records in (await consumer.getmany(timeout_ms=200)).items():
                        for record in records:
                            if (KEY_HEADER, key) in record.headers:
                                return Receipt(partition=record.partition, offset=record.offset)
                        if records and records[0].timestamp < since:
                            unsure.discard(place)
        if unsure:
            raise Ambiguous(f"the topic {self._target.address} cannot be looked through back to when this call began")
        return None

    async def receive(self, *, cursor: str, max_messages: int, wait_seconds: float) -> Received:
        """Messages from the cursor on; without one, those that come from now on."""
        seen = {int(partition): int(offset) for partition, offset in read_cursor(cursor, _KIND).items()}
        async with self._consumer() as (consumer, partitions):
            if not cursor:
                seen = {place.partition: offset for place, offset in (await consumer.end_offsets(partitions)).items()}
            new = [place for place in partitions if place.partition not in seen]
            # A partition that was added since the last call is read from its beginning.
            seen |= (
                {place.partition: offset for place, offset in (await consumer.beginning_offsets(new)).items()}
                if new
                else {}
            )
            for place in partitions:
                consumer.seek(place, seen[place.partition])
            records = await self._records(consumer, max_messages, wait_seconds)
        for record in records:
            seen[record.partition] = record.offset + 1
        messages = [self._message(record) for record in records]
        return Received(messages=messages, cursor=written_cursor(_KIND, {str(p): o for p, o in seen.items()}))

    async def _records(
        self, consumer: AIOKafkaConsumer, max_messages: int, wait_seconds: float
    ) -> list[ConsumerRecord[bytes, bytes]]:
        deadline = time.monotonic() + wait_seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            # Not less than a fetch takes: nothing would ever come of no wait at all.
            found = await consumer.getmany(timeout_ms=int(max(left, 0.2) * 1000), max_records=max_messages)
            if found or left <= 0:
                break
        return [record for records in found.values() for record in records]

    def _message(self, record: ConsumerRecord[bytes, bytes]) -> Inbound:
        headers = {name: value.decode(errors="replace") for name, value in record.headers}
        return inbound(record.value or b"", self._target.content_type, headers, self._target.correlation)

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[tuple[AIOKafkaConsumer, Placed]]:
        """A consumer of no group, to which all partitions of the topic are assigned.

        Its brokers are reached only if they, and not just the one that named them, are allowed.
        """
        with nothing_begun():
            for server in self._options["bootstrap_servers"].split(","):
                await self._allowed(*_host_and_port(server))
        consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_bytes=self._limit,
            max_partition_fetch_bytes=self._limit,
            **self._options,
        )
        try:
            with nothing_begun(), self._reaching():
                async with asyncio.timeout(self._seconds):
                    await consumer.start()
                    cluster = await consumer._client.fetch_all_metadata()
                    for node in cluster.brokers():
                        await self._allowed(node.host, node.port)
                    numbers = cluster.partitions_for_topic(self._target.address)
                    if not numbers:
                        raise NotFound(f"there is no topic {self._target.address} at {self._target.server}")
            partitions = [TopicPartition(self._target.address, number) for number in sorted(numbers)]
            consumer.assign(partitions)
            with self._reaching():
                yield consumer, partitions
        finally:
            await consumer.stop()

    async def _allowed(self, host: str, port: int) -> None:
        await self._way.addresses(self._target.protocol, host, port)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        topic = self._target.address
        try:
            yield
        except OffsetOutOfRangeError as error:
            raise Failed(f"messages of {topic} were deleted before they were read") from error
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            raise InvalidArgument(f"the message is too large for {topic}: {error}") from error
        except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError) as error:
            raise NotPermitted(f"{topic} is refused: {error}") from error
        except (KafkaError, OSError, TimeoutError) as error:
            words = str(error) or type(error).__name__
            raise Unavailable(f"{self._target.server} does not answer for {topic}: {words}") from error


class _Token(AbstractTokenProvider):  # type: ignore[misc]  # published without types
    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        return self._token


def _security(target: Target, shown: str | None) -> dict[str, Any]:
    secure = target.protocol == "kafka-secure"
    options: dict[str, Any] = {"ssl_context": trust()} if secure else {}
    if shown is None:
        return options | {"security_protocol": "SSL" if secure else "PLAINTEXT"}
    options["security_protocol"] = "SASL_SSL" if secure else "SASL_PLAINTEXT"
    scheme, _, value = shown.partition(" ")
    if scheme == "Bearer":
        return options | {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": _Token(value)}
    name, _, password = base64.b64decode(value).decode().partition(":")
    mechanism = next((_MECHANISMS[kind] for kind in target.security if kind in _MECHANISMS), "PLAIN")
    return options | {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": name,
        "sasl_plain_password": password,
    }


def _host_and_port(server: str) -> tuple[str, int]:
    host, _, port = server.strip().rpartition(":")
    if not host or not port.isdecimal():
        raise InvalidArgument(f"the server {server!r} of the AsyncAPI document is no host:port")
    return host.strip("[]"), int(port)


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value, ensure_ascii=False).encode()
