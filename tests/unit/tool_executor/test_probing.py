"""What `factotum tools test` looks at, and that it changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Unavailable
from factotum.sdk.spec import Effect, Example, SecretNeed
from factotum.sdk.tool import Connector
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.errors import CallRefused, UnknownTool
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.probing import Check, Prober
from factotum.tool_executor.registry import AnyConnector, Registry
from factotum.tool_executor.sources.store import Definition
from factotum.tool_executor.tenants import Tenants
from tests.support.composition import executor_of, permits_of, prober_of, sources_of
from tests.support.listed_source import Listed


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = "https://desk.example"
    keys: list[str] = ["secret://desk-key"]


class Find(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str


class Found(BaseModel):
    number: int


def connector(
    calls: list[str],
    *,
    examples: Sequence[Example] = (Example(title="a printer", arguments={"word": "printer"}, output={"number": 7}),),
    effect: Effect = Effect.NONE,
    secrets: Sequence[SecretNeed] = (),
) -> AnyConnector:
    made = Connector("desk", settings=Settings)

    @made.tool(effect=effect, examples=examples, secrets=secrets)
    async def find(arguments: Find, context: ToolContext[Settings]) -> Found:
        """Find a ticket."""
        calls.append(arguments.word)
        if arguments.word == "away":
            raise Unavailable("the desk is closed")
        return Found(number=7)

    return made


@asynccontextmanager
async def prober(folder: Path, made: AnyConnector, *, policy: str = "", key: bool = True) -> AsyncIterator[Prober]:
    secrets = folder / "secrets"
    (secrets / "acme").mkdir(parents=True, exist_ok=True)
    if key:
        (secrets / "acme" / "desk-key").write_text("hunter2")
    catalog = Catalog(Registry([made]), Tenants({("acme", "desk"): Settings()}, {}))
    permits = permits_of(policy) if policy else permits_of()
    async with (
        SqliteLedger(folder / "ledger.sqlite", ambiguous_retry_seconds=5.0) as ledger,
        sources_of(catalog, folder, kinds={"listed": Listed()}) as sources,
    ):
        executor = executor_of(catalog, ledger, secrets=secrets, permits=permits)
        yield prober_of(catalog, sources, executor, secrets=secrets, permits=permits)


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


async def test_a_tool_that_could_be_called_is_called_if_it_only_reads(tmp_path: Path) -> None:
    calls: list[str] = []
    async with prober(tmp_path, connector(calls)) as it:
        checks = await it.probe("acme", "desk.find")
    assert [check.name for check in checks] == [
        *("schemas", "examples", "settings", "secrets", "policy"),
        'example "a printer"',
    ]
    assert all(check.passed for check in checks)
    assert calls == ["printer"] and by_name(checks)["secrets"].message == "desk-key"
    assert "hunter2" not in str(checks)


async def test_a_tool_with_an_effect_is_never_called(tmp_path: Path) -> None:
    calls: list[str] = []
    async with prober(tmp_path, connector(calls, effect=Effect.SEND)) as it:
        checks = await it.probe("acme", "desk.find")
    assert all(check.passed for check in checks) and calls == []


async def test_what_stands_in_the_way_is_said_and_nothing_is_called(tmp_path: Path) -> None:
    calls: list[str] = []
    own = SecretNeed(name="desk-own", delegated=True)
    examples = (
        Example(title="wrong", arguments={"word": 3}),
        Example(title="odd", arguments={"word": "x"}, output={"number": "hunter2"}),
    )
    made = connector(calls, examples=examples, secrets=[own])
    forbids = '@id("none") forbid(principal, action, resource);'
    async with prober(tmp_path, made, policy=forbids, key=False) as it:
        found = by_name(await it.probe("acme", "desk.find"))
        other = by_name(await it.probe("globex", "desk.find"))
    assert not found["examples"].passed
    assert '"wrong": word' in found["examples"].message and '"odd": number' in found["examples"].message
    assert "hunter2" not in found["examples"].message
    assert not found["secrets"].passed and "desk-key" in found["secrets"].message
    assert "--user" in found["secrets"].message
    assert not found["policy"].passed and "none" in found["policy"].message
    assert not other["settings"].passed and "secrets" not in other
    assert calls == []


async def test_nothing_is_called_while_something_stands_in_the_way(tmp_path: Path) -> None:
    calls: list[str] = []
    async with prober(tmp_path, connector(calls), key=False) as it:
        found = by_name(await it.probe("acme", "desk.find"))
    assert [name for name, check in found.items() if not check.passed] == ["secrets"] and calls == []


async def test_an_example_that_fails_is_a_check_that_fails(tmp_path: Path) -> None:
    made = connector([], examples=(Example(title="closed", arguments={"word": "away"}),))
    async with prober(tmp_path, made) as it:
        found = by_name(await it.probe("acme", "desk.find"))
    assert found['example "closed"'] == Check('example "closed"', False, "unavailable: the desk is closed")


async def test_a_source_is_asked_and_keeps_what_it_had(tmp_path: Path) -> None:
    kind = Listed()
    catalog = Catalog(Registry([]), Tenants({}, {}))
    async with (
        SqliteLedger(tmp_path / "ledger.sqlite", ambiguous_retry_seconds=5.0) as ledger,
        sources_of(catalog, tmp_path, kinds={"listed": kind}) as sources,
    ):
        executor = executor_of(catalog, ledger, secrets=tmp_path)
        it = prober_of(catalog, sources, executor, secrets=tmp_path)
        await sources.add(Definition("acme", "list", "listed", "{}"))
        assert by_name(await it.probe("acme", "list.one"))["source"] == Check("source", True, "can be read")
        kind.words = None
        assert by_name(await it.probe("acme", "list.one"))["source"] == Check("source", False, "the list is away")
        assert [tool.spec.name for tool in catalog.tools("acme")] == ["list.one", "list.two"]
        with pytest.raises(UnknownTool):
            await it.probe("globex", "list.one")
        with pytest.raises(CallRefused):
            await it.probe("../etc", "list.one")
