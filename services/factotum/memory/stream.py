"""The Kafka face: observations and outcomes become records, in batches, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from factotum.api.memory.v1.memory_pb2 import Kept, Record
from factotum.events.dead_letter import UNKNOWN_TENANT, send_to_dead_letter
from factotum.events.envelope import Event, MalformedEvent
from factotum.events.producer import EventProducer
from factotum.events.stream import Received
from factotum.events.topics import OBSERVATIONS, OUTCOMES
from factotum.events.types import OFFERED_TYPE
from factotum.memory.errors import (
    EmbedderRefused,
    EmbedderUnavailable,
    NotAMemory,
    StoreFaulty,
    StoreRefused,
    StoreUnavailable,
)
from factotum.memory.ingest import memory_of
from factotum.memory.keeping import Keeping
from factotum.memory.offered import Offered, offered_by
from factotum.runtime.telemetry import RUN_ID, TENANT, context_from_headers

GROUP = "factotum-memory"
TOPICS = (OBSERVATIONS, OUTCOMES)
SOURCE = "/memory"
# Attribute of a span: what became of its record.
FATE = "factotum.memory.fate"
# Seconds between attempts while the store or the embedder is away: the first pause and the longest.
RETRY_SECONDS = (0.5, 15.0)
# Between attempts while the store is at fault.
FAULT_SECONDS = 60.0

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Coming:
    message: Received
    tenant: str
    record: Record
    span: Span


class Ingest:
    """Handles batches for `factotum.events.stream.Consumer`.

    Returns only when every message of the batch is kept, refused by the write filter or in the dead letter. It is
    idempotent: a message that comes again changes nothing.
    """

    def __init__(self, keeping: Keeping, producer: EventProducer, now: Callable[[], datetime]) -> None:
        self._keeping = keeping
        self._producer = producer
        self._now = now

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Raises `BrokerUnavailable` if an unreadable message cannot be put into the dead letter."""
        coming: list[_Coming] = []
        try:
            for message in batch:
                tenant = UNKNOWN_TENANT
                try:
                    event = Event.from_bytes(message.value)
                    tenant = event.tenant
                    if event.type == OFFERED_TYPE:
                        offered = offered_by(event)
                        # What was told before it is kept before it.
                        await self._keep(coming)
                        await self._keep_only(message, event, offered)
                        continue
                    record = memory_of(event)
                except (MalformedEvent, NotAMemory) as error:
                    await self._bury(message, tenant, str(error))
                    continue
                coming.append(_Coming(message, tenant, record, _span(message, tenant, record)))
            await self._keep(coming)
        finally:
            for one in coming:
                one.span.end()

    async def _keep(self, coming: list[_Coming]) -> None:
        """Keeps them, and takes them out of the list."""
        if coming:
            await self._keep_all(coming)
        for one in coming:
            one.span.end()
        coming.clear()

    async def _keep_all(self, coming: Sequence[_Coming]) -> None:
        try:
            fates = await self._insist(
                lambda: self._keeping.keep([(one.tenant, one.record) for one in coming]), len(coming)
            )
        except (EmbedderRefused, StoreRefused) as error:
            await self._keep_each(coming, error)
            return
        for one, (_, fate) in zip(coming, fates, strict=True):
            one.span.set_attribute(FATE, fate.reason or Kept.Result.Name(fate.result).removeprefix("RESULT_").lower())

    async def _keep_only(self, message: Received, event: Event, offered: Offered) -> None:
        try:
            await self._insist(lambda: self._keeping.keep_only(event.tenant, offered), 0)
        except StoreRefused as error:
            await self._bury(message, event.tenant, str(error))

    async def _insist(self, work: Callable[[], Awaitable[T]], records: int) -> T:
        """Waits for a store or an embedder that is away or at fault, for ever: nothing is skipped."""
        wait, longest = RETRY_SECONDS
        while True:
            try:
                return await work()
            except StoreFaulty as error:
                # It is told once a minute, and gone on with a minute after somebody has mended it at the latest.
                wait = FAULT_SECONDS
                log.error("waiting until somebody mends the store", reason=str(error), records=records)
            except (StoreUnavailable, EmbedderUnavailable) as error:
                log.warning("waiting", reason=str(error), records=records, seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

    async def _keep_each(self, coming: Sequence[_Coming], error: Exception) -> None:
        """The one that the embedder or the store refuses is put aside; the others need not wait for it."""
        if len(coming) == 1:
            await self._bury(coming[0].message, coming[0].tenant, str(error))
            return
        for one in coming:
            await self._keep_all([one])

    async def _bury(self, message: Received, tenant: str, reason: str) -> None:
        log.warning("unreadable message", topic=message.topic, offset=message.offset, reason=reason)
        await send_to_dead_letter(
            self._producer,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            value=message.value,
            reason=reason,
            tenant=tenant,
            source=SOURCE,
            now=self._now(),
        )


def _span(message: Received, tenant: str, record: Record) -> Span:
    """From reading the message to its record being kept, in the trace that the message belongs to."""
    return tracer.start_span(
        "remember",
        context=context_from_headers(message.headers),
        kind=SpanKind.CONSUMER,
        attributes={
            RUN_ID: record.run_id,
            TENANT: tenant,
            "messaging.system": "kafka",
            "messaging.destination.name": message.topic,
        },
    )
