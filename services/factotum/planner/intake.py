"""What becomes of one message of `factotum.events`: runs, or a dead letter, or a note that nothing matched.

When `take` has returned, the message is dealt with for good and its offset may be committed. Until
then it may be taken again, by this process or another: everything here is the same done twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import stamina
import structlog
from opentelemetry import metrics, trace

from factotum.events.dead_letter import UNKNOWN_TENANT, send_to_dead_letter
from factotum.events.envelope import Event, MalformedEvent
from factotum.events.errors import BrokerUnavailable
from factotum.events.producer import EventProducer
from factotum.events.topics import OBSERVATIONS
from factotum.events.types import OBSERVATION_TYPE, ObservationData
from factotum.planner.errors import CatalogUnavailable, StoreUnavailable
from factotum.planner.library import Library
from factotum.planner.planning import Plan, matching, plan
from factotum.planner.preparation import Preparation
from factotum.procedures.fault import FaultyDocument
from factotum.runs.client import RunRefused, Runs, TemporalUnavailable
from factotum.runtime import telemetry

logger = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)
events_counter = metrics.get_meter(__name__).create_counter(
    "factotum.planner.events", description="events dealt with, by what became of them"
)

# What passes by itself: waited for as long as it takes, never skipped.
PASSING = (TemporalUnavailable, CatalogUnavailable, StoreUnavailable, BrokerUnavailable)
LONGEST_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a topic, as it came."""

    topic: str
    partition: int
    offset: int
    value: bytes


class Intake:
    """Deals with messages."""

    def __init__(
        self,
        *,
        library: Library,
        preparation: Preparation,
        runs: Runs,
        producer: EventProducer,
        now: Callable[[], datetime],
    ) -> None:
        self._library = library
        self._preparation = preparation
        self._runs = runs
        self._producer = producer
        self._now = now

    async def take(self, message: Message) -> None:
        """Returns once the message is run, noted or in the dead letter; waits while a system is away."""
        async for attempt in stamina.retry_context(
            on=PASSING, attempts=None, timeout=None, wait_initial=0.2, wait_max=LONGEST_WAIT_SECONDS
        ):
            with attempt:
                if attempt.num > 1:
                    logger.warning("waiting", topic=message.topic, offset=message.offset, attempt=attempt.num)
                await self._take(message)

    async def plans(self, event: Event) -> list[Plan]:
        """The plans that an event would start. Raises `FaultyDocument`, `CatalogUnavailable`, `StoreUnavailable`."""
        sources = matching(event, await self._library.newest(event.tenant))
        return [plan(event, await self._preparation.prepare(event.tenant, source)) for source in sources]

    async def _take(self, message: Message) -> None:
        # A letter is shown to its tenant only: from here on the tenant is the event's.
        tenant = UNKNOWN_TENANT
        try:
            event = Event.from_bytes(message.value)
            tenant = event.tenant
            refused = await self._start_all(event)
            if refused:
                await self._refuse(message, tenant, "; ".join(refused))
        except PASSING:
            raise
        except MalformedEvent as error:
            await self._refuse(message, tenant, str(error))
        except Exception as error:
            # A fault of our own must not hold up the events behind it, nor lose this one.
            logger.exception("could not plan", topic=message.topic, offset=message.offset)
            await self._refuse(message, tenant, f"internal error: {type(error).__name__}: {error}")

    async def _start_all(self, event: Event) -> list[str]:
        """Starts a run of every procedure that takes the event; gives why the others could not be started."""
        trace.get_current_span().set_attribute(telemetry.TENANT, event.tenant)
        sources = matching(event, await self._library.newest(event.tenant))
        events_counter.add(1, {"outcome": "run" if sources else "no-match", "tenant": event.tenant})
        if not sources:
            await self._note_no_match(event)
            return []
        refused = []
        for source in sources:
            try:
                await self._start(plan(event, await self._preparation.prepare(event.tenant, source)))
            except (FaultyDocument, RunRefused) as error:
                refused.append(f"{source.document.full_name} {source.document.document.version}: {error}")
        return refused

    async def _start(self, made: Plan) -> None:
        with tracer.start_as_current_span("start run") as span:
            span.set_attribute(telemetry.TENANT, made.run.tenant)
            span.set_attribute(telemetry.RUN_ID, made.run_id)
            await self._library.mark_used(made.run.tenant, made.uses, self._now())
            started = await self._runs.start(made.run_id, made.run, made.source.document)
            logger.info("run started" if started else "run was started before", run_id=made.run_id)

    async def _refuse(self, message: Message, tenant: str, reason: str) -> None:
        events_counter.add(1, {"outcome": "dead-letter", "tenant": tenant})
        logger.error("dead letter", topic=message.topic, offset=message.offset, reason=reason)
        await send_to_dead_letter(
            self._producer,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            value=message.value,
            reason=reason,
            tenant=tenant,
            now=self._now(),
        )

    async def _note_no_match(self, event: Event) -> None:
        now = self._now()
        logger.info("no procedure matches", event_id=event.id, event_type=event.type)
        data = ObservationData(
            note=f"No procedure matches the event {event.id} of type {event.type} from {event.source}.",
            started_at=now,
            ended_at=now,
        )
        await self._producer.publish(
            OBSERVATIONS,
            Event(
                # Source and id may be longer together than an id may be.
                id=f"no-match:{hashlib.sha256(json.dumps([event.source, event.id]).encode()).hexdigest()[:32]}",
                source="/planner",
                type=OBSERVATION_TYPE,
                tenant=event.tenant,
                subject=event.id,
                time=now,
                data=data.model_dump(mode="json"),
            ),
        )
