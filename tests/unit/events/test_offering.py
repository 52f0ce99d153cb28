"""What a service offers is told once, again when it changes, and with the names of all when something goes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable
from factotum.events.offering import Offering
from factotum.events.types import OFFERED_TYPE, TOOL_TYPE, ToolData

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Producer:
    def __init__(self) -> None:
        self.away = False
        self.told: list[Event] = []

    async def publish(self, topic: str, event: Event) -> None:
        assert topic == "factotum.observations"
        if self.away:
            raise BrokerUnavailable("away")
        self.told.append(event)

    def taken(self) -> list[tuple[str, Any]]:
        told, self.told = self.told, []
        return [(event.type, event.data.get("name") or event.data["names"]) for event in told]


def tool(name: str, description: str = "does it") -> ToolData:
    return ToolData(name=name, version="1.0.0", description=description, effect="none")


def offering(producer: Producer) -> Offering:
    return Offering(cast(Any, producer), kind="tool", source="/tool-executor", now=lambda: NOW)


async def test_only_what_changed_is_told() -> None:
    producer = Producer()
    telling = offering(producer)
    assert await telling.tell("acme", {"x.a": tool("x.a"), "x.b": tool("x.b")}) == 2
    first = list(producer.told)
    assert producer.taken() == [(TOOL_TYPE, "x.a"), (TOOL_TYPE, "x.b"), (OFFERED_TYPE, ["x.a", "x.b"])]
    # One key, so that what comes later is kept later.
    assert {(event.tenant, event.subject) for event in first} == {("acme", "tools")}
    await telling.tell("acme", {"x.a": tool("x.a"), "x.b": tool("x.b", "does more")})
    assert producer.taken() == [(TOOL_TYPE, "x.b")]
    await telling.tell("acme", {"x.b": tool("x.b", "does more")})
    assert producer.taken() == [(OFFERED_TYPE, ["x.b"])]
    # One that comes back is told again: its record is gone.
    await telling.tell("acme", {"x.a": tool("x.a"), "x.b": tool("x.b", "does more")})
    assert producer.taken() == [(TOOL_TYPE, "x.a"), (OFFERED_TYPE, ["x.a", "x.b"])]
    await telling.tell("globex", {})
    assert producer.taken() == [(OFFERED_TYPE, [])]


async def test_all_is_told_again_where_the_memory_may_have_lost_it() -> None:
    producer = Producer()
    telling = offering(producer)
    await telling.tell("acme", {"x.a": tool("x.a")})
    first = producer.taken()
    telling.forget()
    await telling.tell("acme", {"x.a": tool("x.a")})
    assert producer.taken() == first


async def test_a_restart_tells_the_same_under_the_same_ids() -> None:
    one, other = Producer(), Producer()
    for producer in (one, other):
        await offering(producer).tell("acme", {"x.a": tool("x.a")})
    assert [event.id for event in one.told] == [event.id for event in other.told]
    assert len({event.id for event in one.told}) == 2


async def test_what_could_not_be_told_is_told_later() -> None:
    producer = Producer()
    telling = offering(producer)
    producer.away = True
    with pytest.raises(BrokerUnavailable):
        await telling.tell("acme", {"x.a": tool("x.a")})
    producer.away = False
    await telling.tell("acme", {"x.a": tool("x.a")})
    assert producer.taken() == [(TOOL_TYPE, "x.a"), (OFFERED_TYPE, ["x.a"])]
