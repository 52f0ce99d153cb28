"""Sources come and go whole, belong to one tenant, and are made of what was read before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel

from factotum.sdk.tool import Connector
from factotum.tool_executor.catalog import Catalog, SystemTaken
from factotum.tool_executor.errors import CallRefused, ToolComing, UnknownTool
from factotum.tool_executor.registry import Registry
from factotum.tool_executor.sources.adding import MOST_BYTES, Sources
from factotum.tool_executor.sources.source import Offer, SourceInvalid, SourceUnavailable
from factotum.tool_executor.sources.store import Definition, StoreUnavailable, UnknownSource
from factotum.tool_executor.tenants import Tenants
from tests.support import tools
from tests.support.composition import catalog_of, sources_of
from tests.support.listed_source import Config, Listed


class Executor:
    """One process's catalog and sources, over a folder that others may share."""

    def __init__(self, catalog: Catalog, sources: Sources, kind: Listed) -> None:
        self.catalog, self.sources, self.kind = catalog, sources, kind

    def names(self, tenant: str = "acme") -> list[str]:
        return [tool.spec.name for tool in self.catalog.tools(tenant) if tool.spec.system != "fake"]


@asynccontextmanager
async def executor(
    folder: Path, kind: Listed | None = None, *, look_seconds: float | None = None, offer_seconds: float = 5.0
) -> AsyncIterator[Executor]:
    kind = kind or Listed()
    catalog = catalog_of(tools.connector)
    async with sources_of(
        catalog,
        folder,
        kinds={"listed": kind},
        read_seconds=0.2,
        look_seconds=look_seconds,
        offer_seconds=offer_seconds,
    ) as sources:
        yield Executor(catalog, sources, kind)


class Slow(Listed):
    """Makes no tools of the system `slow` until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.made = 0

    def offer(self, system: str, config: Config, read: bytes) -> Offer:
        self.made += 1
        if system == "slow":
            assert self.may.wait(10)
        return super().offer(system, config, read)


def definition(tenant: str = "acme", system: str = "list", config: str = "{}", document: bytes = b"") -> Definition:
    return Definition(tenant, system, "listed", config, document)


async def test_a_source_is_there_when_adding_returns_and_for_its_tenant_only(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        listed = await it.sources.add(definition())
        assert (listed.tools, listed.fault) == (("list.one", "list.two"), "")
        assert it.names() == ["list.one", "list.two"] and it.names("globex") == []
        await it.sources.add(definition("globex", document=b"three"))
        assert it.names() == ["list.one", "list.two"] and it.names("globex") == ["list.three"]
        assert [one.system for one in it.sources.listed("globex")] == ["list"] and it.sources.listed("initech") == []
        with pytest.raises(UnknownTool):
            it.catalog.tool("globex", "list.one")
        assert it.catalog.origin("acme", "list") == "listed" and it.catalog.origin("acme", "fake") == "installed"


async def test_what_cannot_be_added_changes_nothing(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        before = await it.sources.add(definition())
        it.kind.words = None
        refused: list[tuple[Definition, type[Exception], str]] = [
            (definition(), SourceUnavailable, "away"),
            (definition(document=b"one bad"), SourceInvalid, "bad is no tool"),
            (definition(document=b" "), SourceInvalid, "has no tools"),
            (definition(config='{"suffix": 3, "hunter2": 1}'), SourceInvalid, "suffix"),
            (Definition("acme", "list", "nothing", "{}"), SourceInvalid, "no kind of source 'nothing'"),
            (definition(system="fake", document=b"one"), SystemTaken, "installed connector"),
            (definition(system="A.b", document=b"one"), CallRefused, "system must match"),
            (definition(system="big", document=b" " * (MOST_BYTES + 1)), CallRefused, "32 MiB"),
            (definition(config='{"token": "secret://none"}', document=b"x"), SourceInvalid, "no secret 'none'"),
        ]
        for wanted, error, words in refused:
            with pytest.raises(error, match=words):
                await it.sources.add(wanted)
            assert it.sources.listed("acme") == [before]
            assert it.names() == ["list.one", "list.two"]
    async with executor(tmp_path) as again:
        assert again.sources.listed("acme") == [before]


async def test_the_values_of_a_configuration_are_in_no_refusal(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        with pytest.raises(SourceInvalid) as refused:
            await it.sources.add(definition(config='{"suffix": {"password": "hunter2"}}'))
        assert "hunter2" not in str(refused.value)


async def test_a_source_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> bytes:
        await asyncio.sleep(60)
        return b""

    async with executor(tmp_path) as it:
        monkeypatch.setattr(it.kind, "read", hang)
        with pytest.raises(SourceUnavailable, match=r"it was not read within 0\.2 s"):
            await it.sources.add(definition())


async def test_a_start_reaches_no_source(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        added = await it.sources.add(definition(config='{"suffix": "_x"}'))
    away = Listed()
    away.words = None
    async with executor(tmp_path, away) as again:
        assert again.names() == ["list.one_x", "list.two_x"] and away.reads == 0
        assert again.sources.listed("acme") == [added]
        with pytest.raises(SourceUnavailable):
            await again.sources.refresh("acme", "list")
        assert again.names() == ["list.one_x", "list.two_x"]


async def test_one_that_makes_no_tools_any_more_is_listed_with_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with executor(tmp_path) as it:
        await it.sources.add(definition(system="broken", document=b"one"))
        await it.sources.add(definition(system="raising", document=b"two"))
        await it.sources.add(definition())
    kind, real = Listed(), Listed.offer

    def offer(self: Listed, system: str, *rest: object) -> object:
        if system == "broken":
            raise SourceInvalid("line 3 is wrong")
        if system == "raising":
            raise KeyError("hunter2")
        return real(self, system, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Listed, "offer", offer)
    async with executor(tmp_path, kind) as again:
        assert again.names() == ["list.one", "list.two"]
        broken, working, raising = again.sources.listed("acme")
        assert (broken.fault, broken.tools, working.fault) == ("line 3 is wrong", (), "")
        assert "refresh raising" in raising.fault and "hunter2" not in raising.fault


async def test_a_fault_of_a_kind_while_tools_are_made_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offer(*_: object) -> object:
        raise KeyError("hunter2")

    async with executor(tmp_path) as it:
        before = await it.sources.add(definition())
        monkeypatch.setattr(it.kind, "offer", offer)
        with pytest.raises(SourceInvalid, match=r"KeyError.*refresh list.*allow fewer") as refused:
            await it.sources.add(definition(document=b"three"))
        assert "hunter2" not in str(refused.value)
        assert it.sources.listed("acme") == [before] and it.names() == ["list.one", "list.two"]


async def seen(it: Executor, names: list[str]) -> None:
    async with asyncio.timeout(5):
        while it.names() != names:
            await asyncio.sleep(0.01)


async def test_a_start_does_not_wait_for_a_slow_source_and_its_tools_come(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        for system in ("last", "slow"):
            await it.sources.add(definition(system=system))
        await it.sources.add(definition("globex", "slow"))
    kind = Slow()
    async with executor(tmp_path, kind, look_seconds=0.2, offer_seconds=0.1) as again:
        assert again.names() == ["last.one", "last.two"]
        _, slow = again.sources.listed("acme")
        assert (slow.system, slow.tools, slow.fault) == ("slow", (), "its tools are being made")
        for names in (["slow.one"], ["last.one", "slow.two"]):
            with pytest.raises(ToolComing, match="ask again"):
                again.catalog.check_there("acme", frozenset(names))
        with pytest.raises(ToolComing, match="'slow' are being made"):
            again.catalog.tool("acme", "slow.one")
        again.catalog.check_there("acme", frozenset({"last.one", "never.was"}))
        with pytest.raises(UnknownTool):
            again.catalog.tool("acme", "never.was")
        # Others come and go meanwhile.
        await again.sources.add(definition(system="new", document=b"three"))
        await again.sources.remove("acme", "last")
        await again.sources.look(seconds=0)
        kind.may.set()
        await seen(again, ["new.three", "slow.one", "slow.two"])
        assert kind.made == 3, "two tenants have the same source"
        assert [one.fault for one in again.sources.listed("acme")] == ["", ""]
        with pytest.raises(UnknownTool):
            again.catalog.tool("acme", "slow.three")


async def test_what_is_made_anew_elsewhere_serves_what_there_was_until_it_is_there(tmp_path: Path) -> None:
    kind = Slow()
    kind.may.set()
    async with executor(tmp_path) as one, executor(tmp_path, kind) as other:
        await one.sources.add(definition(system="slow"))
        await other.sources.look()
        kind.may.clear()
        await one.sources.add(definition(system="slow", document=b"one three"))
        await other.sources.look(seconds=0.05)
        assert other.catalog.tool("acme", "slow.one") and other.names() == ["slow.one", "slow.two"]
        with pytest.raises(ToolComing):
            other.catalog.tool("acme", "slow.three")
        kind.may.set()
        await seen(other, ["slow.one", "slow.three"])


async def test_a_slow_source_can_be_removed_while_its_tools_are_made(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        await it.sources.add(definition(system="slow"))
    kind = Slow()
    async with executor(tmp_path, kind, look_seconds=0.05) as again:
        async with asyncio.timeout(2):
            await again.sources.remove("acme", "slow")
        assert again.sources.listed("acme") == []
        kind.may.set()
        await asyncio.sleep(0.1)
        assert again.names() == [] and again.sources.listed("acme") == []


async def test_what_takes_too_long_to_make_is_not_added_and_holds_nobody(tmp_path: Path) -> None:
    kind = Slow()
    async with executor(tmp_path, kind, offer_seconds=0.1) as it:
        for _ in range(6):
            with pytest.raises(SourceInvalid, match=r"not made within 0\.1 s: allow fewer.*SOURCE_OFFER_SECONDS"):
                await it.sources.add(definition(system="slow"))
        await it.sources.add(definition())
        assert it.names() == ["list.one", "list.two"] and kind.made == 2, "an attempt that goes on is joined"
        kind.may.set()
        await asyncio.sleep(0.1)
        assert it.names() == ["list.one", "list.two"]


async def test_before_anything_was_looked_at_everything_may_be_coming(tmp_path: Path) -> None:
    catalog = Catalog(Registry([]), Tenants({}, {}), complete=False)
    for refused in (
        lambda: catalog.tool("acme", "fake.create"),
        lambda: catalog.check_there("acme", frozenset()),
        lambda: catalog.check_free("fake"),
    ):
        with pytest.raises(ToolComing, match="just begun"):
            refused()
    async with sources_of(catalog, tmp_path, kinds={"listed": Listed()}):
        with pytest.raises(UnknownTool):
            catalog.tool("acme", "fake.create")


async def test_a_connector_that_was_installed_since_goes_before_a_source(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        await it.sources.add(definition(system="desk"))
    desk = Connector("desk", settings=BaseModel)
    catalog = catalog_of(desk)
    async with sources_of(catalog, tmp_path, kinds={"listed": Listed()}) as again:
        [listed] = again.listed("acme")
        assert "installed connector" in listed.fault and catalog.connector("acme", "desk") is desk
        await again.remove("acme", "desk")
        assert again.listed("acme") == [] and catalog.connector("acme", "desk") is desk


async def test_refresh_says_what_changed(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        await it.sources.add(definition())
        it.kind.words = "two@2.0.0 three"
        listed, changes = await it.sources.refresh("acme", "list")
        assert (changes.added, changes.removed, changes.changed) == (("list.three",), ("list.one",), ("list.two",))
        assert listed.tools == ("list.three", "list.two")
        with pytest.raises(UnknownSource, match="tools list --sources"):
            await it.sources.refresh("globex", "list")


async def test_removing(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        await it.sources.add(definition())
        await it.sources.add(definition("globex"))
        await it.sources.remove("acme", "list")
        assert it.names() == [] and it.sources.listed("acme") == [] and it.names("globex") != []
        with pytest.raises(UnknownSource):
            await it.sources.remove("acme", "list")
    async with executor(tmp_path) as again:
        assert again.names() == [] and again.names("globex") == ["list.one", "list.two"]


async def test_executors_learn_of_each_others_changes(tmp_path: Path) -> None:
    async with executor(tmp_path) as one, executor(tmp_path) as other:
        stop = asyncio.Event()
        following = asyncio.create_task(other.sources.follow(stop, seconds=0.02))

        async def seen(names: list[str]) -> None:
            async with asyncio.timeout(5):
                while other.names() != names:
                    await asyncio.sleep(0.01)

        await one.sources.add(definition())
        await seen(["list.one", "list.two"])
        await one.sources.add(definition(document=b"four"))
        await seen(["list.four"])
        assert other.kind.reads == 0
        await one.sources.remove("acme", "list")
        await seen([])
        assert other.sources.listed("acme") == []
        stop.set()
        await following


async def test_secrets_are_those_of_the_tenant(tmp_path: Path) -> None:
    for tenant in ("acme", "globex"):
        (tmp_path / "secrets" / tenant).mkdir(parents=True)
        (tmp_path / "secrets" / tenant / "token").write_text(f"of {tenant}")
    async with executor(tmp_path) as it:
        for tenant in ("acme", "globex"):
            await it.sources.add(definition(tenant, config='{"token": "secret://token"}'))
        assert it.kind.seen == ["of acme", "of globex"]


async def test_a_store_that_is_away_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with executor(tmp_path) as it:
        await it.sources.add(definition())
    with pytest.raises(StoreUnavailable):
        await it.sources.look()
    with pytest.raises(StoreUnavailable):
        await it.sources.add(definition(document=b"five"))
    assert it.names() == ["list.one", "list.two"]


async def test_tenants_with_the_same_source_share_its_tools(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        for tenant, config in (("acme", "{}"), ("globex", "{}"), ("initech", '{"suffix": "_x"}')):
            await it.sources.add(definition(tenant, config=config))
        acme, globex = (it.catalog.tool(tenant, "list.one") for tenant in ("acme", "globex"))
        assert acme is globex and it.names("initech") == ["list.one_x", "list.two_x"]
        await it.sources.remove("acme", "list")
        assert it.catalog.tool("globex", "list.one") is globex


async def test_what_a_source_is_defined_by_refers_to_secrets_whether_or_not_it_has_tools(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        assert it.catalog.secrets("acme") == frozenset()
        it.sources.waits(definition(config='{"token": "secret://for-list"}'), "away")
        assert (it.catalog.secrets("acme"), it.catalog.secrets("globex")) == ({"for-list"}, frozenset())
        (tmp_path / "secrets" / "acme").mkdir(parents=True)
        (tmp_path / "secrets" / "acme" / "other").write_text("hunter2")
        await it.sources.add(definition(config='{"token": "secret://other"}'))
        assert it.catalog.secrets("acme") == {"other"}
    async with executor(tmp_path) as again:
        assert again.catalog.secrets("acme") == {"other"}
        await again.sources.remove("acme", "list")
        assert again.catalog.secrets("acme") == frozenset()
