"""What was checked is kept until something changes."""

from __future__ import annotations

from typing import Any

import pytest

from factotum.planner import preparation
from factotum.planner.preparation import Preparation
from factotum.planner.resolution import Unreachable
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source, parse
from factotum.sdk.spec import Effect, Idempotency, ToolSpec


def spec(version: str) -> ToolSpec:
    return ToolSpec(
        name="mail.send",
        version=version,
        description="",
        effect=Effect.SEND,
        idempotency=Idempotency.NATIVE,
        input_schema={},
        output_schema={},
        timeout_seconds=7,
    )


def text(name: str, do: str) -> Source:
    return parse(f"document: {{dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0'}}\ndo:\n  - a: {do}\n")


class World:
    """Tools, procedures, and how often something was checked or looked up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tools = {"mail.send": spec("1.0.0")}
        self.leaf = text("leaf", "{set: {x: 1}}")
        self.checked = self.looked_up = 0
        real = preparation.check

        def counting(source: Source, catalog: Any) -> Any:
            self.checked += 1
            return real(source, catalog)

        monkeypatch.setattr(preparation, "check", counting)
        own: Any = self
        self.preparation = Preparation(catalog=own, fetching=own, moved_bytes=12)

    async def get(self, _: str) -> dict[str, ToolSpec]:
        return dict(self.tools)  # as anew from the executor

    def of(self, _: str) -> World:
        return self

    async def procedure(self, name: str, version: str) -> Source:
        self.looked_up += 1
        return self.leaf

    async def document(self, uri: str, authentication: Any) -> Any:
        raise Unreachable(uri)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_it_is_checked_once_until_a_tool_or_the_document_changes(world: World) -> None:
    source = text("p", "{call: mail.send}")
    for _ in range(3):
        made = await world.preparation.prepare("acme", source)
    assert (world.checked, made.tools["mail.send"].version) == (1, "1.0.0")
    assert made.run(tenant="acme", given=None).limits.moved_bytes == 12
    world.tools["mail.send"] = spec("1.1.0")
    made = await world.preparation.prepare("acme", source)
    assert (world.checked, made.tools["mail.send"].version) == (2, "1.1.0")
    changed = text("p", "{set: {x: 2}}")
    assert (await world.preparation.prepare("acme", changed)).source is changed
    await world.preparation.prepare("globex", changed)
    assert world.checked == 4
    world.tools.clear()
    with pytest.raises(FaultyDocument):
        await world.preparation.prepare("acme", source)


async def test_what_it_needs_is_looked_up_each_time(world: World) -> None:
    source = text("p", "{run: {workflow: {namespace: t, name: leaf, version: latest}}}")
    for _ in range(2):
        await world.preparation.prepare("acme", source)
    assert (world.looked_up, world.checked) == (2, 2)
    world.leaf = text("leaf", "{set: {x: 2}}")
    made = await world.preparation.prepare("acme", source)
    assert made.documents["t/leaf:latest"] == world.leaf.raw
    assert (world.looked_up, world.checked) == (3, 4)
