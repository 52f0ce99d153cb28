"""Sources of the kind mcp: servers that speak the Model Context Protocol, over streamable HTTP or started here.

What is read and kept is the list of tools. A tool that the server describes otherwise since is not called: what an
operator looked at, and plans were checked against, would be another thing than what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from factotum.connectors.protocols.mcp_session import failure
from factotum.runtime import clock
from factotum.runtime.secrets.mask import Mask
from factotum.sdk.errors import NotPermitted, RateLimited, ToolError, Unavailable
from factotum.sdk.tool import Connector
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sources.mcp import extras, listing, tools
from factotum.tool_executor.sources.mcp.access import Access, pages
from factotum.tool_executor.sources.mcp.calls import Calls
from factotum.tool_executor.sources.mcp.config import McpConfig
from factotum.tool_executor.sources.mcp.listing import Listing
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.mcp.sessions import Live, Sessions
from factotum.tool_executor.sources.source import Offer, SourceInvalid, SourceUnavailable, Surroundings


class McpSource:
    """The kind mcp. It keeps sessions open between calls, which `aclose` ends."""

    kind: ClassVar[str] = "mcp"
    config = McpConfig

    def __init__(
        self,
        *,
        machine: Machine | None = None,
        sandbox: Bubblewrap | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._machine = machine or Machine()
        self._sandbox = sandbox or Bubblewrap()
        self._now = now
        self.sessions = Sessions()

    async def aclose(self) -> None:
        await self.sessions.aclose()

    async def read(self, config: McpConfig, document: bytes, surroundings: Surroundings) -> bytes:
        if document:
            raise SourceInvalid("an MCP server is asked for its tools: give no document")
        secrets = {reference: await surroundings.secret(reference) for reference in config.references()}
        system = surroundings.system
        access = Access(
            surroundings.tenant, system, config, secrets.__getitem__, self._now, self._sandbox, self._machine
        )
        try:
            # A new session: a server that was put in place of another is asked, and serves the calls that follow.
            async with self.sessions.borrowed(
                access.key, access.opened, most=config.sessions, idle_seconds=config.idle_seconds, fresh=True
            ) as live:
                found = await _tools(live, system, config.timeout)
        except (Unavailable, RateLimited) as error:
            raise SourceUnavailable(_without(secrets, error)) from error
        except ToolError as error:
            raise SourceInvalid(_without(secrets, error)) from error
        return _listing(live, found).model_dump_json().encode()

    def offer(self, system: str, config: McpConfig, read: bytes) -> Offer:
        if config.stdio is not None:
            try:
                self._machine.check(config.stdio)
            except NotPermitted as error:
                raise SourceInvalid(error.message) from error
        kept = Listing.model_validate_json(read)
        connector = Connector(system, settings=McpConfig)
        calls = Calls(system, self.sessions, self._sandbox, self._machine)
        listed = {tool["name"]: tool for tool in kept.tools}
        _check_names(config, listed)
        if config.resources:
            extras.add_resources(connector, calls)
        if config.prompts:
            extras.add_prompts(connector, calls)
        version = listing.version(kept.server)
        for name, description in listed.items():
            if not config.takes(name):
                continue
            tool = tools.made(description, system, config, calls, version=version)
            if tool.spec.name in connector.tools:
                raise SourceInvalid(f"two tools would be {tool.spec.name}: give {name!r} another name in its terms")
            if (lookup := config.terms_of(name).reconcile) is not None:
                tools.ask_by(tool, lookup, listed[lookup.tool], calls)
            connector.tools[tool.spec.name] = tool
        return Offer(connector, config)


def _without(secrets: Mapping[str, str], error: ToolError) -> str:
    """The message; a server may have repeated what it was given."""
    mask = Mask()
    mask.add(*secrets.values())
    return mask.text(error.message)


def _listing(live: Live, found: list[dict[str, Any]]) -> Listing:
    server = live.server.server_info
    return Listing(
        server={"name": server.name, "title": server.title, "version": server.version},
        protocol_version=str(live.server.protocol_version),
        tools=sorted(found, key=lambda tool: str(tool["name"])),
    )


async def _tools(live: Live, system: str, seconds: float) -> list[dict[str, Any]]:
    """Raises `ToolError`, `SourceInvalid`."""
    if live.server.capabilities.tools is None:
        return []
    try:
        return await pages(live.session, "tools/list", "tools", seconds=seconds)
    except MCPError as error:
        raise live.wire.error or failure(system, error) from error
    except ValidationError as error:
        raise SourceInvalid(f"{system} lists what are no tools of the protocol") from error


def _check_names(config: McpConfig, listed: Mapping[str, object]) -> None:
    """A name that the server does not have is a mistake, which must not look like a tool that only reads."""
    asked = {} if config.tools == "*" else dict.fromkeys(config.tools, "tools")
    asked |= dict.fromkeys(config.without, "without") | dict.fromkeys(config.reads, "reads")
    asked |= dict.fromkeys(config.terms, "terms")
    asked |= {terms.reconcile.tool: "reconcile" for terms in config.terms.values() if terms.reconcile is not None}
    if unknown := {name: where for name, where in asked.items() if name not in listed}:
        said = ", ".join(f"{name!r} of {where}" for name, where in unknown.items())
        raise SourceInvalid(f"the server has no tool {said}; it has {', '.join(sorted(listed)) or 'none'}")
