"""What happens to a delivery, in this order: verified, read, written to Kafka, acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from factotum.events.envelope import Event, MalformedEvent, describe
from factotum.events.producer import EventProducer
from factotum.events.topics import EVENTS
from factotum.gateway import json_text
from factotum.gateway.errors import Malformed, TooLarge
from factotum.gateway.normalise import bamboohr, cloudevents, standard
from factotum.gateway.sources import Source
from factotum.gateway.verification.standard import ID_HEADER


class Intake:
    """Takes deliveries in. What it returns, Kafka holds; what it raises for, the sender may send again:
    the ids are the same each time.
    """

    def __init__(self, producer: EventProducer, max_event_bytes: int) -> None:
        self._producer = producer
        self._max_event_bytes = max_event_bytes

    async def webhook(self, source: Source, headers: Mapping[str, str], body: bytes, now: datetime) -> list[Event]:
        """Raises `SignatureRefused`, `Malformed`, `TooLarge`, `BrokerUnavailable`, in this order."""
        source.verifier.verify(headers, body, now)
        payload = json_text.parse(body)
        try:
            events = _webhook_events(source, headers, payload)
        except ValidationError as error:
            raise Malformed(describe(error)) from error
        return await self._publish(events)

    async def cloudevents(self, tenant: str, headers: Mapping[str, str], body: bytes) -> list[Event]:
        """Raises `Malformed`, `WrongTenant`, `TooLarge`, `BrokerUnavailable`."""
        try:
            events = cloudevents.events(headers, body, tenant=tenant)
        except ValidationError as error:
            raise Malformed(describe(error)) from error
        return await self._publish(events)

    async def _publish(self, events: Sequence[Event]) -> list[Event]:
        """Publishes all events, those of one subject in their order, and waits for every acknowledgement."""
        for event in events:
            self._check(event)
        by_subject = sorted(events, key=_subject)  # stable
        results = await asyncio.gather(
            *(self._publish_in_order(list(group)) for _, group in groupby(by_subject, key=_subject)),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return list(events)

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


def _webhook_events(source: Source, headers: Mapping[str, str], payload: Any) -> list[Event]:
    if source.scheme == "bamboohr":
        return bamboohr.events(payload, source=source.uri, tenant=source.tenant)
    return standard.events(payload, source=source.uri, tenant=source.tenant, message_id=headers[ID_HEADER])
