"""A server that speaks the Model Context Protocol: made for HTTP here, over stdio as a program of its own."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import ToolAnnotations


def mcp_server() -> MCPServer:
    server = MCPServer("weather")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def forecast(city: str) -> str:
        """What the weather will be."""
        return f"rain in {city}"

    @server.tool()
    def broken() -> str:
        """Fails while it runs."""
        raise RuntimeError("the thermometer is stuck")

    @server.tool()
    def refused() -> str:
        """Says that its parameters are wrong."""
        raise MCPError(-32602, "no such place")

    @server.tool()
    def confused() -> str:
        """Answers an error of the protocol."""
        raise MCPError(-32603, "out of order")

    @server.tool()
    async def slow() -> str:
        """Takes long."""
        await asyncio.sleep(30)
        return "at last"

    @server.tool()
    def long(count: int) -> str:
        """Says much."""
        return "x" * count

    @server.tool()
    def told(context: Context[Any, Any]) -> dict[str, Any]:
        """What came beside the arguments."""
        meta = dict(context.request_context.meta or {})
        return {"meta": meta, "headers": dict(context.headers or {}), "unit": os.environ.get("UNIT", "")}

    @server.prompt()
    def ask(city: str) -> str:
        """A question about the weather."""
        return f"What is the weather in {city}?"

    @server.resource("weather://cities")
    def cities() -> str:
        """The cities that are known."""
        return "Oslo, Rome"

    @server.resource("weather://{city}/now")
    def now(city: str) -> str:
        """The weather in a city."""
        return f"fog in {city}"

    return server


if __name__ == "__main__":
    mcp_server().run("stdio")
