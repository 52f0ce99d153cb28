"""What is registered, for whom, and that what was run never changes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from factotum.planner import procedure_rows
from factotum.planner.errors import LibraryFaulty, StoreUnavailable, UnknownProcedure, VersionTaken
from factotum.planner.library import Library
from factotum.planner.store_file import StoreFile
from factotum.planner.versions import precedence
from factotum.procedures.fault import FaultyDocument
from tests.support.library import NOW, filed, open_library


def text(version: str = "1.0.0", name: str = "p", value: int = 1) -> str:
    header = f"document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '{version}'}}"
    return f"{header}\ndo:\n  - a: {{set: {{x: {value}}}}}\n"


async def newest(library: Library, tenant: str) -> dict[str, str]:
    return {source.document.full_name: source.document.document.version for source in await library.newest(tenant)}


def test_versions_are_in_the_standards_order() -> None:
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"]
    ordered += ["1.0.0-rc.1", "1.0.0", "1.0.0+b2", "1.2.0", "1.10.0", "2.0.0"]
    mixed = ordered[::2] + ordered[1::2]
    assert sorted(mixed, key=precedence) == ordered


async def test_the_newest_version_is_the_one_that_is_started(tmp_path: Path) -> None:
    async with open_library(tmp_path / "s", [text("1.9.0"), text("1.10.0"), text("1.10.0-rc.1")]) as library:
        assert await newest(library, "acme") == {"test/p": "1.10.0"}
        assert (await library.find("acme", "test/p")).source.document.document.version == "1.10.0"
        assert (await library.find("acme", "test/p", "1.9.0")).text == text("1.9.0")
        assert await library.versions("acme") == {"test/p": ["1.10.0", "1.10.0-rc.1", "1.9.0"]}
        for procedure, version in (("test/p", "3.0.0"), ("test/q", "")):
            with pytest.raises(UnknownProcedure, match="tenant acme has no procedure"):
                await library.find("acme", procedure, version)


async def test_what_a_tenant_registers_is_its_own(tmp_path: Path) -> None:
    async with open_library(tmp_path / "s", [text("1.0.0")]) as library:
        assert await library.register("acme", text("2.0.0"), NOW)
        assert await library.register("acme", text("1.0.0", name="q"), NOW)
        assert await newest(library, "acme") == {"test/p": "2.0.0", "test/q": "1.0.0"}
        assert await newest(library, "globex") == {"test/p": "1.0.0"}
        with pytest.raises(UnknownProcedure):
            await library.find("globex", "test/q")
        assert await library.tenants() == ["acme"]


async def test_a_registered_version_never_changes(tmp_path: Path) -> None:
    async with open_library(tmp_path / "s", [text("1.0.0")]) as library:
        assert await library.register("acme", text("1.1.0"), NOW)
        assert not await library.register("acme", text("1.1.0"), NOW)
        for version in ("1.1.0", "1.0.0"):
            with pytest.raises(
                VersionTaken, match=f"test/p {version} is there with another content: raise the version"
            ):
                await library.register("acme", text(version, value=2), NOW)
        assert not await library.register("acme", text("1.0.0"), NOW)
        assert await library.register("globex", text("1.1.0", value=2), NOW)
        assert (await library.find("acme", "test/p", "1.1.0")).text == text("1.1.0")
        with pytest.raises(FaultyDocument):
            await library.register("acme", "do: [", NOW)


async def test_it_is_all_there_at_the_next_start(tmp_path: Path) -> None:
    async with open_library(tmp_path / "s") as library:
        await library.register("acme", text(), NOW)
    async with open_library(tmp_path / "s") as library:
        assert await newest(library, "acme") == {"test/p": "1.0.0"}


async def test_a_file_may_change_until_it_was_run(tmp_path: Path) -> None:
    async with open_library(tmp_path / "s", [text(value=1)]) as library:
        await library.shelve(filed(text(value=2)), NOW)
        found = await library.find("acme", "test/p")
        assert found.text == text(value=2)
        await library.mark_used("acme", [found.source], NOW)
    async with StoreFile(tmp_path / "s", {"procedures": procedure_rows.SCHEMA}) as file:
        library = Library(file)
        with pytest.raises(LibraryFaulty) as refused:
            await library.shelve(filed(text(value=3), text("1.1.0", name="new")), NOW)
        assert str(refused.value) == (
            "/folder/0.yaml: test/p 1.0.0 differs from what was run under this version since 2026-11-24 09:00 UTC: "
            "raise the version (`document.version`): what was run is never changed"
        )
        assert await newest(library, "acme") == {"test/p": "1.0.0"}
        await library.shelve(filed(text("1.0.1", value=3)), NOW)
        assert await newest(library, "acme") == {"test/p": "1.0.1"}
        assert (await library.find("acme", "test/p", "1.0.0")).text == text(value=2)


async def test_a_file_that_is_gone_starts_nothing_but_can_be_named(tmp_path: Path) -> None:
    async with open_library(tmp_path / "s", [text("1.0.0"), text("2.0.0")]) as library:
        await library.shelve(filed(text("1.0.0")), NOW)
        assert await newest(library, "acme") == {"test/p": "1.0.0"}
        assert (await library.find("acme", "test/p", "2.0.0")).text == text("2.0.0")
        assert await library.register("acme", text("2.0.0", value=7), NOW)
        assert (await library.find("acme", "test/p")).text == text("2.0.0", value=7)


async def test_the_first_run_marks_whose_version_it_is(tmp_path: Path) -> None:
    async with open_library(tmp_path / "s", [text(), text(name="other"), text(name="both")]) as library:
        await library.register("acme", text("2.0.0"), NOW)
        await library.shelve(filed(text(), text(name="other")), NOW)
        await library.register("acme", text(name="both", value=2), NOW)
        await library.mark_used("acme", await library.newest("acme"), NOW)
    with sqlite3.connect(tmp_path / "s") as db:
        found = db.execute("SELECT tenant, procedure, version FROM procedures WHERE used_at = ?", (NOW.timestamp(),))
        used = set(found)
    assert used == {("", "test/other", "1.0.0"), ("acme", "test/both", "1.0.0"), ("acme", "test/p", "2.0.0")}


async def test_two_planners_share_a_file(tmp_path: Path) -> None:
    async with open_library(tmp_path / "s") as one, open_library(tmp_path / "s") as other:
        await one.register("acme", text(), NOW)
        assert await newest(other, "acme") == {"test/p": "1.0.0"}


async def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    newer = (*procedure_rows.SCHEMA, ("CREATE TABLE more (x INTEGER)",))
    async with StoreFile(tmp_path / "s", {"procedures": newer}):
        pass
    with pytest.raises(StoreUnavailable, match="procedures has version 2, this program knows up to 1"):
        async with open_library(tmp_path / "s"):
            pass
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        async with open_library(tmp_path):
            pass
