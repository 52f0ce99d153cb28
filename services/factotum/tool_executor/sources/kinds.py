"""The kinds of source there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sources.command.source import CommandSource
from factotum.tool_executor.sources.grpc.source import GrpcSource
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.mcp.source import McpSource
from factotum.tool_executor.sources.openapi.source import OpenapiSource
from factotum.tool_executor.sources.source import AnySource


@asynccontextmanager
async def opened(machine: Machine, sandbox: Bubblewrap) -> AsyncIterator[Mapping[str, AnySource]]:
    """All of them, by name. What they keep open between calls ends with the block; the servers that they start run in
    the sandbox."""
    mcp = McpSource(machine=machine, sandbox=sandbox)
    sources: list[AnySource] = [mcp, OpenapiSource(), GrpcSource(), CommandSource()]
    try:
        yield {source.kind: source for source in sources}
    finally:
        await mcp.aclose()
