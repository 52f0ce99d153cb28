"""What was checked is kept until something changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from factotum.planner import preparation
from factotum.planner.preparation import Preparation, needed_tools
from factotum.planner.resolution import Resolved, Unreachable
from factotum.procedures.check import check
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source, parse
from factotum.sdk.spec import Effect, Idempotency, ToolSpec

ROOT = Path(__file__).parents[3]


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
        self.asked: list[list[str]] = []
        real = preparation.check

        def counting(source: Source, catalog: Any) -> Any:
            self.checked += 1
            return real(source, catalog)

        monkeypatch.setattr(preparation, "check", counting)
        own: Any = self
        self.preparation = Preparation(catalog=own, fetching=own, moved_bytes=12)

    async def get(self, _: str, names: Collection[str]) -> dict[str, ToolSpec]:
        self.asked.append(sorted(names))
        return {name: tool for name, tool in self.tools.items() if name in names}  # as anew from the executor

    async def listed(self, _: str) -> dict[str, ToolSpec]:
        return dict(self.tools)

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


async def test_only_the_tools_that_are_called_are_asked_for(world: World) -> None:
    world.tools |= {f"github.tool_{number}": spec("1.0.0") for number in range(3)}
    await world.preparation.prepare("acme", text("p", "{call: mail.send}"))
    await world.preparation.prepare("acme", text("q", "{set: {x: 2}}"))
    assert world.asked == [["mail.send"], []]


async def test_the_advice_of_a_fault_names_tools_that_are_not_called(world: World) -> None:
    with pytest.raises(FaultyDocument, match=r"mail\.send"):
        await world.preparation.prepare("acme", text("p", "{call: mail.sent}"))


class Recording(Mapping[str, ToolSpec]):
    """A catalog in which every tool is asked for by name, and none is there."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> ToolSpec:
        self.names |= {name} if name else set()
        raise KeyError(name)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 1


def documents() -> list[str]:
    """All that the repository has: packaged, faulty, and those of the documentation, parts made whole."""
    files = [
        file.read_text() for name in ("procedures", "tests/unit/procedures") for file in (ROOT / name).rglob("*.yaml")
    ]
    shown = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/procedures.md").read_text(), re.MULTILINE | re.DOTALL)
    head = "document: {dsl: '1.0.3', namespace: t, name: part, version: '1.0.0'}\n"
    undo = "metadata: {compensate: {call: asyncapi, with: {cursor: a}}}"
    files.append(f"{head}do:\n  - a: {{call: http, with: {{method: get, endpoint: 'https://a.example'}}, {undo}}}\n")
    return files + [part if part.startswith("document:") else head + f"do:\n{part}" for part in shown]


def test_a_check_looks_for_no_tool_that_was_not_asked_for() -> None:
    recording, needed = Recording(), set[str]()
    for document in documents():
        try:
            source = parse(document)
        except FaultyDocument:
            continue
        needed |= needed_tools(Resolved(source))
        check(source, recording)
    assert "asyncapi.receive" in needed and len(recording.names) > 10
    assert recording.names <= needed
