"""The planner's Kafka face: hands messages to the intake, with the trace that each carries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from factotum.events.stream import Consumer, Received
from factotum.events.topics import EVENTS
from factotum.planner.intake import Intake
from factotum.planner.message import Message
from factotum.runtime.settings import KafkaSettings
from factotum.runtime.telemetry import context_from_headers

tracer = trace.get_tracer(__name__)

GROUP = "factotum-planner"
# Messages planned at once. A batch is committed as one, so a larger one is redelivered as one.
BATCH_SIZE = 64
WITHIN_SECONDS = 0.02


def make_consumer(intake: Intake, kafka: KafkaSettings) -> Consumer:
    """A consumer of `factotum.events` whose offsets are committed once the intake is done with them."""

    async def take(received: Received) -> None:
        context = context_from_headers(received.headers)
        with tracer.start_as_current_span("plan", context=context, kind=SpanKind.CONSUMER):
            await intake.take(Message(received.topic, received.partition, received.offset, received.value))

    async def handle(batch: Sequence[Received]) -> None:
        await asyncio.gather(*map(take, batch))

    return Consumer(GROUP, [EVENTS], handle, kafka=kafka, batch_size=BATCH_SIZE, within_seconds=WITHIN_SECONDS)
