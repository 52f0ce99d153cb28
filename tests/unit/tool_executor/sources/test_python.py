"""Systems of Python: looked for anew without a restart, a tenant's to have or not, and never given as code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from factotum.sdk.tool import Connector
from factotum.tool_executor import registry
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.errors import UnknownTool
from factotum.tool_executor.registry import Registry
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.python import Modules
from factotum.tool_executor.sources.source import SourceInvalid
from factotum.tool_executor.sources.store import Definition, UnknownSource
from factotum.tool_executor.tenants import Tenants
from tests.support.composition import catalog_of, sources_of
from tests.support.listed_source import Config, Listed

TOOL = """
from pydantic import BaseModel
from factotum.sdk.context import ToolContext
from factotum.sdk.spec import Effect
from factotum.sdk.tool import Connector

class Nothing(BaseModel):
    pass

connector = Connector("SYSTEM", settings=Nothing)

@connector.tool(effect=Effect.NONE)
async def NAME(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
    \"\"\"Look.\"\"\"
    return arguments
"""


class Executor:
    def __init__(self, folder: Path, catalog: Catalog, sources: Sources) -> None:
        self.folder, self.catalog, self.sources = folder, catalog, sources

    def write(self, system: str, name: str = "look", *, before: str = "") -> None:
        (self.folder / "tools" / f"{system}.py").write_text(
            before + TOOL.replace("SYSTEM", system).replace("NAME", name)
        )

    def names(self, tenant: str = "acme") -> list[str]:
        return [tool.spec.name for tool in self.catalog.tools(tenant)]

    def faults(self, tenant: str = "acme") -> dict[str, str]:
        return {one.system: one.fault for one in self.sources.listed(tenant)}


@asynccontextmanager
async def executor(folder: Path, *, seconds: float = 5.0) -> AsyncIterator[Executor]:
    (folder / "tools").mkdir(exist_ok=True)
    catalog = catalog_of()
    modules = Modules(partial(registry.found, [], folder / "tools"), seconds=seconds)
    async with sources_of(catalog, folder, kinds={"listed": Listed()}, modules=modules) as sources:
        yield Executor(folder, catalog, sources)


def python(system: str, *, tenant: str = "acme", config: str = "{}", document: bytes = b"") -> Definition:
    return Definition(tenant, system, "python", config, document)


async def test_refresh_takes_files_that_came_changed_and_went(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        it.write("dice", "throw")
        it.write("coin", "flip")
        listed, changes = await it.sources.refresh("acme", "")
        assert (changes.added, changes.removed, changes.changed) == (("coin.flip", "dice.throw"), (), ())
        assert listed.tools == ("coin.flip", "dice.throw") and it.names("globex") == it.names()
        untouched = it.catalog.connector("acme", "coin")
        it.write("dice", "roll")
        listed, changes = await it.sources.refresh("acme", "dice")
        assert (listed.tools, changes.added, changes.removed) == (("dice.roll",), ("dice.roll",), ("dice.throw",))
        assert it.catalog.connector("acme", "coin") is untouched, "a file that is as it was is not run again"
        (tmp_path / "tools" / "coin.py").unlink()
        _, changes = await it.sources.refresh("acme", "coin")
        assert changes.removed == ("coin.flip",) and it.names() == ["dice.roll"]
        with pytest.raises(UnknownSource):
            await it.sources.refresh("acme", "coin")


async def test_a_file_that_cannot_be_used_is_listed_and_the_others_work(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        it.write("dice")
        (tmp_path / "tools" / "broken.py").write_text("x = (")
        await it.sources.refresh("acme", "")
        assert it.names() == ["dice.look"]
        assert it.faults()["dice"] == "" and "SyntaxError" in it.faults()["broken.py"]
        with pytest.raises(SourceInvalid, match=r"no module has .*'broken', there are dice; broken\.py cannot be used"):
            await it.sources.add(python("broken"))


async def test_adding_looks_for_it_and_removing_is_for_one_tenant(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        it.write("dice")
        listed = await it.sources.add(python("dice"))
        assert (listed.tools, listed.fault, listed.kind) == (("dice.look",), "", "python")
        assert it.names() == it.names("globex") == ["dice.look"]
        await it.sources.remove("acme", "dice")
        assert it.names() == [] and it.names("globex") == ["dice.look"]
        with pytest.raises(UnknownTool, match="add python dice` brings it back"):
            it.catalog.tool("acme", "dice.look")
        assert "add python dice" in it.faults()["dice"] and it.faults("globex") == {"dice": ""}
        with pytest.raises(UnknownSource):
            await it.sources.remove("acme", "dice")
    async with executor(tmp_path) as again, executor(tmp_path) as other:
        assert again.names() == [] and again.names("globex") == ["dice.look"]
        await again.sources.add(python("dice"))
        assert again.names() == ["dice.look"] and other.names() == []
        again.write("coin")
        await again.sources.refresh("acme", "")
        await other.sources.look()
        assert other.names() == again.names() == ["coin.look", "dice.look"]


async def test_no_code_is_taken(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        it.write("dice")
        await it.sources.refresh("acme", "")
        code = TOOL.replace("SYSTEM", "dice").replace("NAME", "other").encode()
        for definition in (python("dice", document=code), python("dice", config='{"module": "os"}')):
            with pytest.raises(SourceInvalid, match=r"is not taken from here|by its name alone"):
                await it.sources.add(definition)
        with pytest.raises(SourceInvalid, match="FACTOTUM_TOOLS_FOLDER"):
            await it.sources.add(python("os"))
        assert it.names() == ["dice.look"]


async def test_a_module_that_takes_long_is_there_when_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    it = Executor(tmp_path, catalog_of(), None)  # type: ignore[arg-type]
    it.write("dice")
    it.write("ages", before="import time\ntime.sleep(0.5)\n")
    async with executor(tmp_path, seconds=0.1) as it:
        assert it.names() == ["dice.look"] and "not imported within 0.1 s" in it.faults()["ages.py"]
        async with asyncio.timeout(5):
            while it.names() != ["ages.look", "dice.look"]:
                await asyncio.sleep(0.02)
                await it.sources.look()
        assert it.faults() == {"ages": "", "dice": ""}


def test_a_name_that_is_taken_is_taken_at_once() -> None:
    catalog = catalog_of()
    catalog.put("acme", Listed().offer("dice", Config(), b"one"))
    catalog.install(Registry([Connector("dice", settings=Config)]), Tenants({}, {}))
    with pytest.raises(UnknownTool):
        catalog.tool("acme", "dice.one")


async def test_a_name_of_python_goes_before_a_source_for_as_long_as_it_is_there(tmp_path: Path) -> None:
    async with executor(tmp_path) as it:
        await it.sources.add(Definition("acme", "dice", "listed", "{}", b"one"))
        it.write("dice")
        await it.sources.refresh("acme", "")
        source, there = it.sources.listed("acme")
        assert it.names() == ["dice.look"] and (there.kind, there.fault) == ("python", "")
        assert source.kind == "listed" and "installed connector" in source.fault
        (tmp_path / "tools" / "dice.py").unlink()
        await it.sources.refresh("acme", "")
        assert it.names() == ["dice.one"] and it.faults() == {"dice": ""}
