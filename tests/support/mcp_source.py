"""A source of the kind mcp in a tool executor, for one tenant."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.mcp.source import McpSource
from factotum.tool_executor.sources.store import Definition
from tests.support.composition import catalog_of, executor_of, sources_of
from tests.support.system_calls import SystemCalls, held


class McpBench(SystemCalls):
    """`source` is the kind, whose sessions are this bench's alone."""

    def __init__(self, source: McpSource, catalog: Catalog, sources: Sources, executor: Executor, system: str) -> None:
        self.source = source
        self.catalog = catalog
        self.sources = sources
        super().__init__(executor, system)

    async def add(self, **config: Any) -> list[str]:
        """The names of the tools, without the system's."""
        definition = Definition(
            tenant="acme", system=self.system, kind="mcp", config_json=json.dumps(config), document=b""
        )
        listed = await self.sources.add(definition)
        return [name.partition(".")[2] for name in listed.tools]


@asynccontextmanager
async def mcp_bench(
    folder: Path, system: str = "things", *, machine: Machine | None = None, **secrets: str
) -> AsyncIterator[McpBench]:
    """Without a source yet. `secrets` are the tenant acme's, by name; acme may have all of the machine, unless another
    `machine` is given."""
    catalog, source = catalog_of(), McpSource(machine=machine or Machine([Path("/")], ["acme"]))
    async with (
        sources_of(catalog, folder, kinds={"mcp": source}, read_seconds=20.0) as sources,
        SqliteLedger(folder / "ledger.sqlite", ambiguous_retry_seconds=5.0) as ledger,
    ):
        executor = executor_of(catalog, ledger, secrets=held(folder, secrets))
        try:
            yield McpBench(source, catalog, sources, executor, system)
            await executor.drained()
        finally:
            await source.aclose()
