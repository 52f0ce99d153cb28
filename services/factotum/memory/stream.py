"""The Kafka face: observations and outcomes become records, in batches, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.events.dead_letter import UNKNOWN_TENANT, send_to_dead_letter
from factotum.events.envelope import Event, MalformedEvent
from factotum.events.producer import EventProducer
from factotum.events.stream import Received
from factotum.events.topics import OBSERVATIONS, OUTCOMES
from factotum.memory.embedders.onnx import Embedder
from factotum.memory.errors import NotAMemory, StoreUnavailable
from factotum.memory.ingest import memory_of
from factotum.memory.store.milvus import Entry, MemoryStore
from factotum.runtime.telemetry import RUN_ID, TENANT, context_from_headers

GROUP = "factotum-memory"
TOPICS = (OBSERVATIONS, OUTCOMES)
SOURCE = "/memory"
# Seconds between attempts while the store is away: the first pause and the longest.
RETRY_SECONDS = (0.5, 15.0)

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)


class Ingest:
    """Handles batches for `factotum.events.stream.Consumer`.

    Returns only when every message of the batch is in the store or in the dead letter. It is
    idempotent: a message that comes again replaces its own record.
    """

    def __init__(
        self, store: MemoryStore, embedder: Embedder, producer: EventProducer, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._producer = producer
        self._now = now

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Raises `BrokerUnavailable` if an unreadable message cannot be put into the dead letter."""
        kept: list[tuple[str, Record]] = []
        spans: list[Span] = []
        try:
            for message in batch:
                tenant = UNKNOWN_TENANT
                try:
                    event = Event.from_bytes(message.value)
                    tenant = event.tenant
                    record = memory_of(event)
                except (MalformedEvent, NotAMemory) as error:
                    await self._bury(message, tenant, str(error))
                    continue
                if record is not None:
                    spans.append(_span(message, tenant, record))
                    kept.append((tenant, record))
            await self._keep(kept)
        finally:
            for span in spans:
                span.end()

    async def _keep(self, kept: Sequence[tuple[str, Record]]) -> None:
        """Waits for a store that is away, for ever: nothing is skipped."""
        vectors = await self._embedder.embed([record.text for _, record in kept])
        entries = [Entry(tenant, record, vector) for (tenant, record), vector in zip(kept, vectors, strict=True)]
        wait, longest = RETRY_SECONDS
        while True:
            try:
                await self._store.upsert(entries)
                return
            except StoreUnavailable as error:
                log.warning("the store is away: waiting", reason=str(error), records=len(entries), seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

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
