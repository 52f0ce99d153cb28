"""What happens to a delivery, in this order: verified, read, written to Kafka, acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from factotum.events.envelope import Event, MalformedEvent, describe
from factotum.events.errors import BrokerUnavailable, EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.topics import EVENTS
from factotum.gateway import json_text
from factotum.gateway.errors import Malformed, TooLarge
from factotum.gateway.normalise import bamboohr, cloudevents, standard
from factotum.gateway.sources import Source
from factotum.gateway.verification.standard import ID_HEADER

# Events between two turns that others get: some ten milliseconds of reading and writing JSON.
_EVENTS_A_TURN = 10


class Intake:
    """Takes deliveries in. What it returns, Kafka holds; what it raises for, the sender may send again:
    the ids are the same each time.

    Args:
        max_events: how many events one body may hold.
        max_event_bytes: how long each may be as JSON.
        within_seconds: how long Kafka has to acknowledge all events of a body.
    """

    def __init__(
        self, producer: EventProducer, *, max_events: int, max_event_bytes: int, within_seconds: float
    ) -> None:
        self._producer = producer
        self._max_events = max_events
        self._max_event_bytes = max_event_bytes
        self._within = within_seconds

    async def webhook(self, source: Source, headers: Mapping[str, str], body: bytes, now: datetime) -> list[Event]:
        """Raises `SignatureRefused`, `Malformed`, `TooLarge`, `BrokerUnavailable`, in this order."""
        source.verifier.verify(headers, body, now)
        return await self._take(_webhook_events(source, headers, json_text.parse(body)))

    async def cloudevents(self, tenant: str, headers: Mapping[str, str], body: bytes, *, user: str = "") -> list[Event]:
        """What they start acts for `user`, for nobody if that is empty.

        Raises `Malformed`, `WrongTenant`, `Reserved`, `TooLarge`, `BrokerUnavailable`.
        """
        return await self._take(cloudevents.events(headers, body, tenant=tenant, user=user))

    async def _take(self, events: Iterator[Event]) -> list[Event]:
        """Publishes nothing before all of them have been read and found good."""
        taken: list[Event] = []
        first: dict[tuple[str, str], Event] = {}
        try:
            for number, event in enumerate(events, 1):
                if number > self._max_events:
                    raise TooLarge(f"a body may hold {self._max_events} events: send the rest in bodies of their own")
                earlier = first.setdefault((event.source, event.id), event)
                if earlier is event or earlier != event:  # given twice it is one event
                    self._check(event)
                    taken.append(event)
                if number % _EVENTS_A_TURN == 0:
                    await asyncio.sleep(0)
        except ValidationError as error:
            raise Malformed(describe(error)) from error
        await self._publish(taken)
        return taken

    async def _publish(self, events: Sequence[Event]) -> None:
        """Publishes all events, those of one subject in their order, and waits for every acknowledgement."""
        by_subject = sorted(events, key=_subject)  # stable
        publications = []
        try:
            async with asyncio.timeout(self._within):
                for _, group in groupby(by_subject, key=_subject):
                    publications.append(asyncio.ensure_future(self._publish_in_order(list(group))))
                    if len(publications) % _EVENTS_A_TURN == 0:
                        await asyncio.sleep(0)
                await asyncio.gather(*publications)
        except TimeoutError:
            raise BrokerUnavailable(
                f"Kafka did not acknowledge {len(events)} events within {self._within:g} s"
            ) from None
        except EventTooLarge:  # the broker's own limit may be below ours
            raise TooLarge("an event is larger than Kafka takes") from None
        finally:
            for publication in publications:
                publication.cancel()
            # Nothing of this body may reach Kafka after its sender has been answered.
            await asyncio.gather(*publications, return_exceptions=True)

    async def _publish_in_order(self, events: Sequence[Event]) -> None:
        for event in events:
            await self._producer.publish(EVENTS, event)

    def _check(self, event: Event) -> None:
        """An event that its readers could not read back as it is would be lost later: refused now."""
        try:
            written = event.to_bytes()
            same = Event.from_bytes(written) == event
        except MalformedEvent as error:
            raise Malformed(f"the event cannot be carried: {error}") from error
        if not same:
            raise Malformed("the event cannot be carried: it holds a value that JSON readers change")
        if len(written) > self._max_event_bytes:
            raise TooLarge(f"an event may be {self._max_event_bytes} bytes as JSON, this one has {len(written)}")


def _subject(event: Event) -> str:
    return event.subject or event.id


def _webhook_events(source: Source, headers: Mapping[str, str], payload: Any) -> Iterator[Event]:
    if source.scheme == "bamboohr":
        return bamboohr.events(payload, source=source.uri, tenant=source.tenant)
    return standard.events(payload, source=source.uri, tenant=source.tenant, message_id=headers[ID_HEADER])
