"""Tools and procedures are remembered by name, and let go of when their service has them no more."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest

from factotum.api.memory.v1.memory_pb2 import KIND_PROCEDURE, KIND_TOOL, Record
from factotum.events.envelope import Event
from factotum.events.stream import Received
from factotum.events.topics import OBSERVATIONS
from factotum.events.types import OFFERED_TYPE, PROCEDURE_TYPE, TOOL_TYPE
from factotum.memory.errors import NotAMemory
from factotum.memory.ingest import memory_of
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Scope
from factotum.memory.stream import Ingest
from tests.support.keeping import keeping_on

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def event(type_: str, *, by: str = "/tool-executor", **data: Any) -> Event:
    return Event(id="1", source=by, type=type_, tenant="acme", subject="tools", time=NOW, data=data)


def tool(name: str = "tickets.create", description: str = "Opens a ticket", **given: Any) -> Event:
    told = {"name": name, "version": "1.0.0", "description": description, "effect": "create"}
    return event(TOOL_TYPE, **told, **given)


def test_a_tool_is_told_in_words() -> None:
    record = memory_of(tool(inputs=["dueDate", "title"], examples=["A broken lamp"], source="installed"))
    assert record.kind == KIND_TOOL
    assert record.text == (
        "tickets.create (tickets create): Opens a ticket. Takes due date, title. For example: A broken lamp."
    )
    assert json.loads(record.attributes_json) == {
        "name": "tickets.create",
        "version": "1.0.0",
        "effect": "create",
        "inputs": ["dueDate", "title"],
        "examples": ["A broken lamp"],
        "source": "installed",
    }
    # Its name is what it is, not its words.
    assert record.id == memory_of(tool(description="Opens another")).id != memory_of(tool("tickets.close")).id


def test_a_procedure_is_told_in_words() -> None:
    record = memory_of(
        event(
            PROCEDURE_TYPE,
            name="hr/employee-onboarding",
            version="1.0.0",
            title="Welcome",
            triggers=["com.hired"],
            tools=["identity.create_user"],
        )
    )
    assert record.kind == KIND_PROCEDURE
    assert record.text == (
        "hr/employee-onboarding (employee onboarding): Welcome. Started by com.hired. Uses identity.create_user."
    )


@pytest.mark.parametrize("told", [tool(name="x" * 20_000, description="y" * 20_000), tool(inputs=["z" * 900] * 900)])
def test_it_is_bounded(told: Event) -> None:
    assert memory_of(told).text.endswith("[cut]") or len(memory_of(told).text) < 8192


def test_what_cannot_be_read_is_no_memory() -> None:
    with pytest.raises(NotAMemory, match="version"):
        memory_of(event(TOOL_TYPE, name="x.a"))


class Bench:
    def __init__(self) -> None:
        self.store, self.now, self.embedded = InMemoryStore(), NOW, 0
        keeping = keeping_on(self.store, cast(Any, self), now=lambda: self.now)
        self.ingest = Ingest(keeping, cast(Any, self), lambda: self.now)
        self.buried: list[Event] = []

    async def embed(self, texts: list[str]) -> Any:
        self.embedded += len(texts)
        return np.full((len(texts), 384), 0.05, np.float32)

    async def publish(self, topic: str, event: Event) -> None:
        self.buried.append(event)

    async def hear(self, *events: Event) -> None:
        self.now += timedelta(hours=1)
        await self.ingest([Received(OBSERVATIONS, 0, 0, b"", each.to_bytes(), {}) for each in events])

    async def names(self, tenant: str = "acme") -> dict[str, Record]:
        return {
            str(json.loads(record.attributes_json)["name"]): record
            async for record in self.store.records(Scope(tenant=tenant))
        }


def names(*offered: str) -> Event:
    return event(OFFERED_TYPE, kind="tool", names=list(offered))


async def test_told_again_it_stands_as_it_was_and_changed_it_is_replaced() -> None:
    bench = Bench()
    await bench.hear(tool(), names("tickets.create"))
    first = (await bench.names())["tickets.create"]
    await bench.hear(tool(), names("tickets.create"))
    assert (await bench.names())["tickets.create"] == first and bench.embedded == 1
    await bench.hear(tool(description="Opens a ticket at the desk"))
    assert "at the desk" in (await bench.names())["tickets.create"].text and bench.embedded == 2


async def test_what_is_offered_no_more_goes_and_may_come_back() -> None:
    bench = Bench()
    others = [
        event(PROCEDURE_TYPE, by="/planner", name="hr/p", version="1.0.0"),
        tool().model_copy(update={"tenant": "globex"}),
        tool("crm.find").model_copy(update={"source": "/elsewhere"}),
    ]
    # In one batch: what comes before the names is kept before them.
    await bench.hear(*others, tool(), tool("tickets.close"), names("tickets.close"))
    assert sorted(await bench.names()) == ["crm.find", "hr/p", "tickets.close"]
    assert sorted(await bench.names("globex")) == ["tickets.create"]
    await bench.hear(tool(), names("tickets.close", "tickets.create"))
    assert "tickets.create" in await bench.names()
    assert not bench.buried


async def test_names_that_cannot_be_read_are_put_aside() -> None:
    bench = Bench()
    await bench.hear(tool(), event(OFFERED_TYPE, kind="person", names=[]))
    assert "tickets.create" in await bench.names() and len(bench.buried) == 1
