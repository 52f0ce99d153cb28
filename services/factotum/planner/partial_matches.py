"""Events that wait for others: procedures that start when all of several events have come.

The events of a group share the values that their filters correlate. They are kept until the run that they
start has begun; what is never completed goes to the dead letter, event by event.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from factotum.events.dead_letter import send_to_dead_letter
from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable
from factotum.events.producer import EventProducer
from factotum.planner import partial_match_rows as rows
from factotum.planner.errors import StoreUnavailable
from factotum.planner.message import Message
from factotum.planner.partial_match_rows import Entry, Group, Strategy
from factotum.planner.planning import Offer
from factotum.planner.store_file import StoreFile
from factotum.procedures.consumption import EventFilter

logger = structlog.get_logger(__name__)

SECONDS_BETWEEN = 60.0


class PartialMatches:
    """Keeps what has come. Methods raise `StoreUnavailable`.

    Args:
        kept: how long events wait for the others.
    """

    def __init__(
        self, file: StoreFile, producer: EventProducer, *, kept: timedelta, now: Callable[[], datetime]
    ) -> None:
        self._file = file
        self._producer = producer
        self._kept = kept
        self._now = now

    async def add(self, strategy: Strategy, offers: Sequence[Offer], event: Event, message: Message) -> Group:
        """The group in which the event is; one that came before changes nothing, whatever became of its group.

        It goes to the oldest group that has not got one like it, for the first filter that takes it; if there is
        none, it begins a group.
        """
        now = self._now().timestamp()

        def work(db: sqlite3.Connection) -> Group:
            number = rows.group_of(db, strategy, event.source, event.id)
            if number is None:
                number, offer = _place(db, strategy, offers, now)
                where = message.topic, message.partition, message.offset
                rows.put(db, number, Entry(offer.slot, event.source, event.id, *where, message.value), offer.keys)
            return rows.read(db, number)

        return await self._file.run(work)

    async def started(self, group: Group) -> None:
        """Its run has begun: its events need not be kept any more, only recognised."""
        await self._file.run(lambda db: rows.mark_started(db, group.id))

    async def give_up(self, group: Group, reason: str) -> None:
        """Every event of the group goes to the dead letter, and is forgotten. Raises `BrokerUnavailable`."""
        for entry in group.entries:
            if entry.value is not None:
                await send_to_dead_letter(
                    self._producer,
                    topic=entry.topic,
                    partition=entry.partition,
                    offset=entry.offset,
                    value=entry.value,
                    reason=reason,
                    tenant=group.tenant,
                    now=self._now(),
                )
        # Last: after a crash in between, the letters are written again, under the same ids.
        await self._file.run(lambda db: rows.remove(db, group.id))

    async def run(self, stop: asyncio.Event) -> None:
        """Looks for what has waited too long, now and then, until `stop` is set."""
        while not stop.is_set():
            try:
                await self.expire()
            except (BrokerUnavailable, StoreUnavailable) as error:
                logger.warning("partial matches do not expire yet", reason=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SECONDS_BETWEEN)

    async def expire(self) -> None:
        """Gives up what has waited too long. Raises `BrokerUnavailable`."""
        before = (self._now() - self._kept).timestamp()
        for group in await self._file.run(lambda db: rows.expire(db, before)):
            since = datetime.fromtimestamp(group.created_at, UTC)
            reason = (
                f"{group.procedure} was never completed: {len(group.entries)} of its {group.slots} events came since "
                f"{since:%Y-%m-%d %H:%M} UTC"
            )
            logger.error("dead letter", procedure=group.procedure, reason=reason)
            await self.give_up(group, reason)


def _place(db: sqlite3.Connection, strategy: Strategy, offers: Sequence[Offer], now: float) -> tuple[int, Offer]:
    """The group that an event goes to, and the filter for which it does."""
    found = [(rows.open_group(db, strategy, offer.slot, offer.keys), offer) for offer in offers]
    waiting = [(number, offer) for number, offer in found if number is not None]
    if waiting:
        return min(waiting, key=lambda pair: pair[0])
    return rows.make_group(db, strategy, offers[0].keys, now), offers[0]


def strategy_of(tenant: str, procedure: str, filters: Sequence[EventFilter]) -> Strategy:
    """What a procedure waits for: with other filters it is another strategy, which shares no events with this one."""
    text = rows.canonical([wanted.model_dump(mode="json", by_alias=True) for wanted in filters])
    return Strategy(tenant, procedure, hashlib.sha256(text.encode()).hexdigest(), len(filters))
