"""Whose dead letter a message becomes, and what the note of an unmatched event is called."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from factotum.events.dead_letter import UNKNOWN_TENANT, DeadLetterData, DeadLetterEvent
from factotum.events.envelope import Event, MalformedEvent
from factotum.events.errors import EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.topics import DEAD_LETTER, EVENTS, OBSERVATIONS
from factotum.planner.intake import Intake
from factotum.planner.library import Library
from factotum.planner.message import Message
from factotum.procedures.parse import Source
from tests.support.intake import taking

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Kept(EventProducer):
    """Keeps what is published; takes no message larger than `limit`."""

    def __init__(self, limit: int = 1_000_000) -> None:
        super().__init__("127.0.0.1:1", client_id="test")
        self.events: list[tuple[str, Event]] = []
        self._limit = limit

    async def publish(self, topic: str, event: Event) -> None:
        if len(event.to_bytes()) > self._limit:
            raise EventTooLarge("too large")
        self.events.append((topic, event))


class Shelf(Library):
    """Has nothing, or only a fault of its own."""

    def __init__(self, fault: Exception | None = None) -> None:
        """Has nothing to read."""
        self._fault = fault

    async def newest(self, tenant: str) -> list[Source]:
        if self._fault is not None:
            raise self._fault
        return []


@asynccontextmanager
async def intake(
    path: Path, library: Library | None = None, limit: int = 1_000_000
) -> AsyncIterator[tuple[Intake, Kept]]:
    kept = Kept(limit)
    nothing: Any = None
    async with taking(
        path / "store.sqlite3",
        runs=nothing,
        producer=kept,
        preparation=nothing,
        library=library or Shelf(),
        now=lambda: NOW,
    ) as parts:
        yield parts.intake, kept


def message(value: bytes) -> Message:
    return Message(EVENTS, 0, 7, value)


async def test_a_fault_of_ours_is_a_letter_of_the_events_tenant(tmp_path: Path) -> None:
    async with intake(tmp_path, Shelf(ZeroDivisionError("a fault of ours"))) as (planner, kept):
        await planner.take(message(Event(id="1", source="/s", type="t", tenant="globex").to_bytes()))
        ((topic, letter),) = kept.events
        assert (topic, letter.tenant) == (DEAD_LETTER, "globex")
        assert "a fault of ours" in letter.data["reason"]


async def test_what_is_no_event_is_nobodys_letter(tmp_path: Path) -> None:
    async with intake(tmp_path) as (planner, kept):
        await planner.take(message(b'{"tenant": "acme", "specversion": "1.0"}'))
        ((_, letter),) = kept.events
        assert letter.tenant == UNKNOWN_TENANT
        assert DeadLetterEvent.from_bytes(letter.to_bytes()) == letter


@pytest.mark.parametrize("kind", [Event, DeadLetterEvent])
def test_no_event_but_a_dead_letter_is_of_an_unknown_tenant(kind: type[Event]) -> None:
    """A tenant of that name would be shown what nobody may see."""
    value = json.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "tenant": UNKNOWN_TENANT})
    if kind is DeadLetterEvent:
        assert kind.from_bytes(value.encode()).tenant == UNKNOWN_TENANT
    else:
        with pytest.raises(MalformedEvent, match="tenant"):
            kind.from_bytes(value.encode())
    with pytest.raises(MalformedEvent, match="tenant"):
        kind.from_bytes(value.replace(UNKNOWN_TENANT, "x*").encode())


async def test_a_message_too_large_to_be_carried_twice_is_kept_by_its_beginning(tmp_path: Path) -> None:
    async with intake(tmp_path, limit=200_000) as (planner, kept):
        value = b"no event " * 20_000
        await planner.take(message(value))
        ((_, letter),) = kept.events
        data = DeadLetterData.model_validate(letter.data)
        assert data.whole is False
        assert data.value and value.startswith(data.value)


async def test_events_without_a_procedure_are_told_apart_however_long_their_source(tmp_path: Path) -> None:
    async with intake(tmp_path) as (planner, kept):
        for event_id in ("1", "2", "2"):
            await planner.take(message(Event(id=event_id, source="/" + "s" * 1000, type="t", tenant="acme").to_bytes()))
        assert {topic for topic, _ in kept.events} == {OBSERVATIONS}
        assert len(kept.events) == 3
        assert len({event.id for _, event in kept.events}) == 2
