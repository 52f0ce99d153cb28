"""The file of sources: what it says comes about, however long a source is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from factotum.tool_executor.catalog import SystemTaken
from factotum.tool_executor.sources import file as sources_file
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.file import FileInvalid, bring_about, load
from factotum.tool_executor.sources.source import SourceUnavailable
from factotum.tool_executor.sources.store import Definition, StoreUnavailable
from tests.support import tools
from tests.support.composition import catalog_of, sources_of
from tests.support.listed_source import Listed


def written(folder: Path, text: str) -> Path:
    file = folder / "sources.yaml"
    file.write_text(text)
    return file


async def applied(folder: Path, text: str, sources: Sources) -> list[float]:
    """How long it slept between attempts."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await bring_about(load(written(folder, text)), sources, sleep=sleep)
    return slept


def faults(sources: Sources, tenant: str = "acme") -> dict[str, str]:
    return {listed.system: listed.fault for listed in sources.listed(tenant)}


TWO = """
tenants:
  acme:
    list: {kind: listed, config: {suffix: _x}}
  globex:
    list: {kind: listed, document: words.txt}
"""


async def test_what_it_says_is_added_once_and_taken_out_again(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("three")
    kind = Listed()
    catalog = catalog_of(tools.connector)
    async with sources_of(catalog, tmp_path, kinds={"listed": kind}) as sources:
        await applied(tmp_path, TWO, sources)
        assert [listed.tools for listed in sources.listed("acme")] == [("list.one_x", "list.two_x")]
        assert [listed.tools for listed in sources.listed("globex")] == [("list.three",)]
        reads = kind.reads
        await applied(tmp_path, TWO, sources)
        assert kind.reads == reads, "what has not changed is not read again"
        (tmp_path / "words.txt").write_text("four")
        await applied(tmp_path, TWO, sources)
        assert [listed.tools for listed in sources.listed("globex")] == [("list.four",)]
        for wrong in (sources.remove("acme", "list"), sources.add(Definition("acme", "list", "listed", "{}", b"x"))):
            with pytest.raises(SystemTaken, match="file of sources"):
                await wrong
        await sources.add(Definition("acme", "own", "listed", "{}", b"five"))
        await applied(tmp_path, "tenants: {}", sources)
        assert list(faults(sources)) == ["own"] and sources.listed("globex") == []


async def test_a_source_that_is_away_is_tried_again_and_the_others_work(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("three")
    kind, seen = Listed(), list[str]()
    async with sources_of(catalog_of(), tmp_path, kinds={"listed": kind}) as sources:
        kind.words = None

        async def sleep(seconds: float) -> None:
            async with asyncio.timeout(10):
                while not sources.listed("globex"):
                    await asyncio.sleep(0.01)
            seen.append(f"{seconds:g} {faults(sources)['list']}")
            if len(seen) == 3:
                kind.words = "one"

        await bring_about(load(written(tmp_path, TWO)), sources, sleep=sleep)
        assert seen[-1] == "4 the list is away; it is tried again"
        assert [text.partition(" ")[0] for text in seen] == ["1", "2", "4"]
        assert faults(sources) == {"list": ""}


async def test_what_can_never_be_is_listed_and_the_others_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    tenants:
      acme:
        fine: {kind: listed, config: {suffix: _y}}
        unknown: {kind: nothing}
        wrong: {kind: listed, config: {sufix: hunter2}}
        absent: {kind: listed, document: absent.txt}
        fake: {kind: listed}
        raising: {kind: listed, config: {suffix: boom}}
    """
    real = Listed.offer

    def offer(self: Listed, system: str, *rest: object) -> object:
        if system == "raising":
            raise KeyError("hunter2")
        return real(self, system, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Listed, "offer", offer)
    async with sources_of(catalog_of(tools.connector), tmp_path, kinds={"listed": Listed()}) as sources:
        await applied(tmp_path, text, sources)
        found = faults(sources)
        assert found["fine"] == "" and "KeyError" in found["raising"]
        assert "no kind" in found["unknown"] and "sufix" in found["wrong"] and "absent.txt" in found["absent"]
        assert "installed connector" in found["fake"] and "hunter2" not in str(found)


async def test_what_was_there_before_stays_while_the_new_is_not_to_be_had(tmp_path: Path) -> None:
    kind = Listed()
    async with sources_of(catalog_of(), tmp_path, kinds={"listed": kind}) as sources:
        await applied(tmp_path, "tenants: {acme: {list: {kind: listed}}}", sources)
        kind.words = None

        async def sleep(_: float) -> None:
            raise SourceUnavailable("the test ends")

        with pytest.raises(SourceUnavailable, match="the test ends"):
            wanted = load(written(tmp_path, "tenants: {acme: {list: {kind: listed, config: {suffix: _z}}}}"))
            await bring_about(wanted, sources, sleep=sleep)
        [listed] = sources.listed("acme")
        assert listed.tools == ("list.one", "list.two") and "tried again" in listed.fault
        kind.words = "three"
        refreshed, changes = await sources.refresh("acme", "list")
        assert refreshed.tools == ("list.three_z",) == changes.added and refreshed.fault == ""


async def test_a_store_that_is_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sources_of(catalog_of(), tmp_path, kinds={"listed": Listed()}) as sources:
        real, failures = sources.from_file, [StoreUnavailable("away"), StoreUnavailable("away")]

        async def from_file() -> list[tuple[str, str]]:
            if failures:
                raise failures.pop()
            return await real()

        monkeypatch.setattr(sources, "from_file", from_file)
        slept = await applied(tmp_path, "tenants: {acme: {list: {kind: listed}}}", sources)
        assert slept == [1, 2] and faults(sources) == {"list": ""}


def test_a_file_that_has_not_the_shape_stops_the_start(tmp_path: Path) -> None:
    for text, words in (
        ("tenants: {acme: hunter2}", "acme"),
        ("tenants: {Acme: {}}", "Acme"),
        ("[", "no YAML"),
    ):
        with pytest.raises(FileInvalid, match=words) as refused:
            load(written(tmp_path, text))
        assert "hunter2" not in str(refused.value)
    with pytest.raises(FileInvalid, match="FACTOTUM_TOOL_SOURCES_FILE"):
        load(tmp_path / "none.yaml")
    assert load(written(tmp_path, "")) == []
    assert sources_file.LONGEST_WAIT == 300


async def test_one_tenants_mistake_is_that_sources_fault(tmp_path: Path) -> None:
    text = """
tenants:
  acme:
    list: {kind: listed, config: {}}
    Bad-Name: {kind: listed}
    strange: {knid: hunter2}
    dated: {kind: listed, config: {2026-01-01: x}}
"""
    async with sources_of(catalog_of(), tmp_path, kinds={"listed": Listed()}) as sources:
        await applied(tmp_path, text, sources)
        found = faults(sources)
    assert found["list"] == "" and "Bad-Name" in found["Bad-Name"] and "knid" in found["strange"]
    assert "2026-01-01" in found["dated"] and "hunter2" not in str(found)
