"""The kinds of source there are."""

from __future__ import annotations

from collections.abc import Mapping

from factotum.tool_executor.sources.command.source import CommandSource
from factotum.tool_executor.sources.grpc.source import GrpcSource
from factotum.tool_executor.sources.mcp.source import McpSource
from factotum.tool_executor.sources.openapi.source import OpenapiSource
from factotum.tool_executor.sources.source import AnySource

_MCP = McpSource()
_SOURCES: list[AnySource] = [_MCP, OpenapiSource(), GrpcSource(), CommandSource()]

KINDS: Mapping[str, AnySource] = {source.kind: source for source in _SOURCES}


async def close() -> None:
    """Ends what the kinds keep open between calls."""
    await _MCP.aclose()
