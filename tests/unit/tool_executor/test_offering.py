"""The executor tells which tools each tenant has, whatever becomes of Kafka meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from pydantic import BaseModel

from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable
from factotum.events.types import OFFERED_TYPE
from factotum.sdk.context import ToolContext
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector
from factotum.tool_executor import offering
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.offering import ToolOffering, tool_data
from factotum.tool_executor.registry import AnyConnector, Registry
from factotum.tool_executor.tenants import Tenants

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Settings(BaseModel):
    pass


class Word(BaseModel):
    word: str
    due_date: str = ""


class Producer:
    def __init__(self) -> None:
        self.away = 0
        self.told: list[Event] = []

    async def publish(self, topic: str, event: Event) -> None:
        if self.away:
            self.away -= 1
            raise BrokerUnavailable("away")
        # As bytes, or it is no message.
        self.told.append(Event.from_bytes(event.to_bytes()))

    def taken(self) -> dict[str, list[str]]:
        """By tenant, the names of the tools that were told; of a list of names those, after a colon."""
        told, self.told = self.told, []
        found: dict[str, list[str]] = {}
        for event in told:
            data = event.data
            found.setdefault(event.tenant, []).append(
                f":{','.join(data['names'])}" if event.type == OFFERED_TYPE else data["name"]
            )
        return found


def desk(description: str = "Find a ticket.") -> AnyConnector:
    made = Connector(system="desk", settings=Settings)

    async def find(arguments: Word, context: ToolContext[Settings]) -> Word:
        return arguments

    find.__doc__ = description
    made.tool(
        effect=Effect.NONE,
        idempotency=Idempotency.NATIVE,
        examples=(Example(title="A broken lamp", arguments={"word": "lamp"}),),
    )(find)
    return made


def bench(producer: Producer, made: AnyConnector) -> tuple[Catalog, ToolOffering]:
    tenants = Tenants({}, {}, {"acme": {"desk": {}}, "globex": {}})
    catalog = Catalog(Registry([made]), tenants)
    return catalog, ToolOffering(catalog, cast(Any, producer), lambda: NOW)


async def test_every_known_tenant_is_told_and_only_what_changes_again() -> None:
    producer = Producer()
    catalog, telling = bench(producer, desk())
    await telling.tell()
    assert producer.taken() == {"acme": ["desk.find", ":desk.find"], "globex": ["desk.find", ":desk.find"]}
    await telling.tell()
    # Found anew, the same tools are other objects.
    catalog.install(Registry([desk()]), catalog.tenants)
    await telling.tell()
    assert producer.taken() == {}
    for _ in range(offering.TELL_AGAIN_AFTER - 3):
        await telling.tell()
    assert producer.taken() == {"acme": ["desk.find", ":desk.find"], "globex": ["desk.find", ":desk.find"]}
    catalog.remove_installed(frozenset({("globex", "desk")}))
    catalog.install(Registry([desk("Find any ticket.")]), catalog.tenants)
    await telling.tell()
    assert producer.taken() == {"acme": ["desk.find"], "globex": [":"]}


async def test_what_is_being_made_is_waited_for() -> None:
    producer = Producer()
    catalog, telling = bench(producer, desk())
    catalog.come("acme", "shop")
    await telling.tell()
    assert producer.taken().keys() == {"globex"}
    catalog.came("acme", "shop")
    await telling.tell()
    assert producer.taken().keys() == {"acme"}


async def test_kafka_may_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offering, "LOOK_SECONDS", 0.001)
    producer = Producer()
    producer.away = 2
    _, telling = bench(producer, desk())
    stop = asyncio.Event()
    running = asyncio.create_task(telling.run(stop))
    async with asyncio.timeout(10):
        while len(producer.told) < 4:
            await asyncio.sleep(0.001)
    stop.set()
    await running


def test_a_tool_is_told_in_the_words_of_its_author() -> None:
    (tool,) = desk("Find a \udcff ticket." + "x" * 9000).tools.values()
    data = tool_data(tool.spec, "installed")
    assert (data.name, data.effect, data.source) == ("desk.find", "none", "installed")
    assert (data.inputs, data.examples) == (["word", "due_date"], ["A broken lamp"])
    assert data.description.startswith("Find a ? ticket.") and len(data.description) == 4000
