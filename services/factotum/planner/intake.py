"""What becomes of one message of `factotum.events`: runs start or hear of it, or it waits for others, or it is a
dead letter, or a note says that nothing matched.

When `take` has returned, the message is dealt with for good and its offset may be committed. Until
then it may be taken again, by this process or another: everything here is the same done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stamina
import structlog
from opentelemetry import metrics, trace

from factotum.bounded.evaluator import TooLarge, TooSlow
from factotum.events.dead_letter import UNKNOWN_TENANT, send_to_dead_letter
from factotum.events.envelope import Event, MalformedEvent
from factotum.events.errors import BrokerUnavailable
from factotum.events.producer import EventProducer
from factotum.events.topics import OBSERVATIONS
from factotum.planner import notes
from factotum.planner.errors import CatalogUnavailable, StoreUnavailable
from factotum.planner.library import Library
from factotum.planner.message import Message
from factotum.planner.partial_match_rows import Group
from factotum.planner.partial_matches import PartialMatches, strategy_of
from factotum.planner.permission import Permitted
from factotum.planner.planning import MOST_HOPS, Offer, Plan, acts_for, hops_of, offers, plan, run_of
from factotum.planner.signalling import Signalling
from factotum.planner.starting import Starting
from factotum.planner.turns import Turn, Turns
from factotum.procedures.consumption import EventFilter
from factotum.procedures.expressions import Costly
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source
from factotum.runs.errors import RunRefused, TemporalUnavailable
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
class _Match:
    """A procedure that an event starts, or helps to start."""

    source: Source
    offers: list[Offer]


class Intake:
    """Deals with messages.

    Args:
        costly: evaluates, within a bound, what is not shown to be cheap.
    """

    def __init__(
        self,
        *,
        library: Library,
        preparation: Permitted,
        starting: Starting,
        signalling: Signalling,
        partial_matches: PartialMatches,
        costly: Costly,
        producer: EventProducer,
        now: Callable[[], datetime],
    ) -> None:
        self._library = library
        self._preparation = preparation
        self._starting = starting
        self._signalling = signalling
        self._partial_matches = partial_matches
        self._costly = costly
        self._producer = producer
        self._now = now
        self._turns = Turns()

    async def take(self, message: Message) -> None:
        """Returns once the message is run, heard, kept, noted or in the dead letter; waits while a system is away.

        What is taken at once is done at once, but a run hears the events of one partition in their order, and
        those behind the one that started it.
        """
        turn = self._turns.join((message.topic, message.partition))
        try:
            async for attempt in stamina.retry_context(
                on=PASSING, attempts=None, timeout=None, wait_initial=0.2, wait_max=LONGEST_WAIT_SECONDS
            ):
                with attempt:
                    if attempt.num > 1:
                        logger.warning("waiting", topic=message.topic, offset=message.offset, attempt=attempt.num)
                    await self._take(message, turn)
            await turn.comes()
        finally:
            turn.passes()

    async def plans(self, event: Event) -> list[Plan]:
        """The plans that an event would start by itself.

        Raises `FaultyDocument`, `CatalogUnavailable`, `StoreUnavailable`.
        """
        matches, _ = await self._matches(event, _attributes(event))
        return [
            plan([event], await self._preparation.prepare(event.tenant, match.source, acting_for=acts_for([event])))
            for match in matches
            if _all_filters(match.source) is None
        ]

    async def _take(self, message: Message, turn: Turn) -> None:
        # A letter is shown to its tenant only: from here on the tenant is the event's.
        tenant = UNKNOWN_TENANT
        try:
            event = Event.from_bytes(message.value)
            tenant = event.tenant
            refused = await self._deal_with(event, message, turn)
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

    async def _deal_with(self, event: Event, message: Message, turn: Turn) -> list[str]:
        """Starts what the event starts and brings it to who listens; gives why that could not be done everywhere."""
        trace.get_current_span().set_attribute(telemetry.TENANT, event.tenant)
        if hops_of(event) > MOST_HOPS:
            return [f"more than {MOST_HOPS} runs in a row led to this event: procedures seem to start each other"]
        attributes = _attributes(event)
        matches, refused = await self._matches(event, attributes)
        begun: set[str] = set()
        for match in matches:
            try:
                begun.add(await self._begin(match, event, message))
            except (FaultyDocument, RunRefused) as error:
                refused.append(f"{_versioned(match.source)}: {error}")
        await turn.comes()
        # A run has the events that started it in its input.
        deliveries = self._signalling.bring(event, attributes, without=begun)
        turn.passes()
        refused += [reason for reason in await asyncio.gather(*deliveries) if reason]
        outcome = "run" if matches else "heard" if deliveries else "no-match"
        events_counter.add(1, {"outcome": outcome, "tenant": event.tenant})
        if not matches and not deliveries and not refused:
            await self._note_no_match(event)
        return refused

    async def _matches(self, event: Event, attributes: Mapping[str, Any]) -> tuple[list[_Match], list[str]]:
        """The procedures that take the event, and why it is not known of the others."""
        found, unknown = [], []
        for source in await self._library.newest(event.tenant):
            stopped: list[str] = []
            taken = await offers(attributes, source, self._noting(stopped))
            if taken:
                found.append(_Match(source, taken))
            elif stopped:
                unknown.append(f"{_versioned(source)}: whether it takes the event is not known: {stopped[0]}")
        return found, unknown

    def _noting(self, stopped: list[str]) -> Costly:
        """As `costly`, noting what had to be stopped: of other failures it is known that they take no event."""

        async def evaluate(program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
            try:
                return await self._costly(program, value, arguments)
            except (TooSlow, TooLarge) as error:
                stopped.append(str(error))
                raise

        return evaluate

    async def _begin(self, match: _Match, event: Event, message: Message) -> str:
        """The id of the run that the event started, alone or as the last of all; empty while others are missing."""
        filters = _all_filters(match.source)
        if filters is None:
            made = plan(
                [event], await self._preparation.prepare(event.tenant, match.source, acting_for=acts_for([event]))
            )
            await self._start(made, [event])
            return made.run_id
        strategy = strategy_of(event.tenant, match.source.document.full_name, filters)
        group = await self._partial_matches.add(strategy, match.offers, event, message)
        if group.state in ("open", "expired"):
            return ""
        if group.state == "complete":
            await self._start_of_all(match.source, group)
        return run_of([(entry.source, entry.event_id) for entry in group.entries], match.source, event.tenant)

    async def _start_of_all(self, source: Source, group: Group) -> None:
        events = [Event.from_bytes(entry.value or b"") for entry in group.entries]
        try:
            prepared = await self._preparation.prepare(group.tenant, source, acting_for=acts_for(events))
            await self._start(plan(events, prepared), events)
        except (FaultyDocument, RunRefused) as error:
            await self._partial_matches.give_up(group, f"{_versioned(source)}: {error}")
            raise
        await self._partial_matches.started(group)

    async def _start(self, made: Plan, events: Sequence[Event]) -> None:
        with tracer.start_as_current_span("start run") as span:
            span.set_attribute(telemetry.TENANT, made.run.tenant)
            span.set_attribute(telemetry.RUN_ID, made.run_id)
            started = await self._starting.start(made)
            logger.info("run started" if started else "run was started before", run_id=made.run_id)
            # Told each time: it may be the telling that failed before.
            await self._producer.publish(OBSERVATIONS, notes.chosen(made, events, self._now()))

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
        logger.info("no procedure matches", event_id=event.id, event_type=event.type)
        await self._producer.publish(OBSERVATIONS, notes.no_match(event, self._now()))


def _attributes(event: Event) -> dict[str, Any]:
    return event.model_dump(mode="json", exclude_none=True)


def _all_filters(source: Source) -> tuple[EventFilter, ...] | None:
    """The filters of a procedure that starts when all of several events have come; None for any other."""
    schedule = source.document.schedule
    return schedule.on.all if schedule is not None and schedule.on is not None else None


def _versioned(source: Source) -> str:
    return f"{source.document.full_name} {source.document.document.version}"
