"""From the outbox to Kafka, for as long as it takes."""

from __future__ import annotations

import asyncio

import structlog
from opentelemetry import context as otel

from factotum.events.envelope import CONTENT_TYPE
from factotum.events.errors import BrokerUnavailable
from factotum.events.producer import EventProducer
from factotum.events.topics import OBSERVATIONS
from factotum.runtime import telemetry
from factotum.tool_executor.errors import LedgerUnavailable
from factotum.tool_executor.ledger import Ledger, Publication

log = structlog.get_logger(__name__)

BATCH = 100
# Seconds between looks at the outbox, which grows without telling, and longest while Kafka is away.
IDLE_SECONDS, LONGEST_BACK_OFF = 0.2, 10.0


class Outbox:
    """Publishes what the ledger holds. An observation leaves the ledger only after Kafka acknowledged
    it, so it may arrive twice, under the same id."""

    def __init__(self, ledger: Ledger, producer: EventProducer) -> None:
        self._ledger = ledger
        self._producer = producer

    async def run(self, stop: asyncio.Event) -> None:
        """Drains until `stop` is set; what is left waits in the ledger for the next start."""
        wait = IDLE_SECONDS
        while not stop.is_set():
            try:
                # Few wait for others to come: each look is two transactions of the ledger that calls wait for.
                while await self.drain() == BATCH and not stop.is_set():
                    pass
                wait = IDLE_SECONDS
            except (BrokerUnavailable, LedgerUnavailable) as error:
                wait = min(wait * 2, LONGEST_BACK_OFF)
                log.warning("observations wait", reason=str(error), seconds=wait)
            try:
                async with asyncio.timeout(wait):
                    await stop.wait()
            except TimeoutError:
                continue

    async def drain(self) -> int:
        """Publishes the oldest of the outbox, at most a batch; how many. Raises `BrokerUnavailable`
        once those that Kafka acknowledged are taken out."""
        async with self._ledger.taken(BATCH) as taken:
            if not taken.waiting:
                return 0
            # One first: while Kafka is away, that is not found out a hundred times.
            (number, first), *others = taken.waiting
            await self._publish(first)
            taken.published.append(number)
            results = await asyncio.gather(*(self._publish(one) for _, one in others), return_exceptions=True)
            taken.published.extend(number for (number, _), error in zip(others, results, strict=True) if error is None)
        for error in results:
            if error is not None:
                raise error
        return len(taken.published)

    async def _publish(self, publication: Publication) -> None:
        # The message belongs to the trace of the call, not to the one of this loop.
        headers = [("traceparent", publication.traceparent.encode())]
        token = otel.attach(telemetry.context_from_headers(headers))
        try:
            await self._producer.publish_bytes(
                OBSERVATIONS, publication.value, key=publication.message_key, content_type=CONTENT_TYPE
            )
        finally:
            otel.detach(token)
