"""Requests to a tenant's MCP server, on sessions that stay open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import mcp_types as types
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from factotum.connectors.protocols import mcp_session
from factotum.connectors.protocols.mcp_session import KEY, words
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Cancelled, Failed, InvalidArgument, NotFound, NotPermitted, ToolError
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sources.mcp import tasks
from factotum.tool_executor.sources.mcp.access import Access, asked, pages
from factotum.tool_executor.sources.mcp.config import McpConfig
from factotum.tool_executor.sources.mcp.listing import fingerprints
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.mcp.sessions import Live, Sessions

T = TypeVar("T")
Context = ToolContext[McpConfig]


class Calls:
    """Asks the server of one source, for any tenant."""

    def __init__(self, system: str, sessions: Sessions, sandbox: Bubblewrap, machine: Machine) -> None:
        self._system = system
        self._sandbox = sandbox
        self._machine = machine
        self._sessions = sessions

    async def tool(
        self,
        name: str,
        known: str,
        arguments: dict[str, Any],
        context: Context,
        *,
        seconds: float,
        failed_means_undone: bool = False,
        as_task: bool = False,
    ) -> dict[str, Any]:
        """The result of a tool, as it was sent.

        Args:
            name: the server's.
            known: the tool's fingerprint. Where the server's is another one now, the tool is not called.

        Raises `Failed` for a tool's own error, `NotPermitted` for a tool that changed, `NotFound` for one that is
        gone, and what an error of the protocol means.
        """
        params: dict[str, Any] = {"name": name, "arguments": arguments}
        if context.idempotency_key:
            params["_meta"] = {KEY: context.idempotency_key}

        async def told(progress: float, total: float | None, message: str | None) -> None:
            far = f"{progress:g} of {total:g}" if total else f"{progress:g}"
            context.report(message or far, progress / total if total else None)

        sent = False

        async def call(live: Live) -> dict[str, Any]:
            nonlocal sent
            await self._unchanged(live, name, known, seconds)
            sent = True
            if as_task:
                return await tasks.called(live, params, seconds=seconds, told=context.report)
            return await asked(live.session, "tools/call", params, seconds=seconds, progress=told)

        try:
            result = await self._on_session(name, call, context)
        except asyncio.CancelledError:
            if sent:
                raise
            # While a session was waited for, or opened.
            raise Cancelled(f"{self._system} {name} was ended before it was sent", effect_possible=False) from None
        except ToolError as error:
            error.effect_possible = error.effect_possible and sent
            raise
        if result.get("isError") is True:
            raise Failed(f"{self._system} {name}: {words(result)}", effect_possible=not failed_means_undone)
        return result

    async def ask(self, method: str, params: dict[str, Any], context: Context) -> dict[str, Any]:
        """The result of a request that has no effect."""
        seconds = context.settings.seconds
        return await self._on_session(
            method, lambda live: asked(live.session, method, params, seconds=seconds), context
        )

    async def listed(self, method: str, field: str, context: Context) -> list[dict[str, Any]]:
        """What a method lists, over all its pages."""
        seconds = context.settings.seconds
        return await self._on_session(method, lambda live: pages(live.session, method, field, seconds=seconds), context)

    async def _on_session(self, what: str, use: Callable[[Live], Awaitable[T]], context: Context) -> T:
        config, shown = context.settings, f"{self._system} {what}"
        access = Access(context.tenant, self._system, config, context.secret, context.now, self._sandbox, self._machine)
        fresh = False
        while True:
            async with self._sessions.borrowed(
                access.key, access.opened, most=config.sessions, idle_seconds=config.idle_seconds, fresh=fresh
            ) as live:
                try:
                    return await use(live)
                except MCPError as error:
                    live.doubtful = error.code == types.REQUEST_TIMEOUT
                    if live.used and live.wire.refused:
                        # MCP 2025-11-25, Transports, session management: a server may end a session at any time.
                        fresh = True
                        continue
                    raise live.wire.error or _meaning(shown, error, refused=live.wire.refused) from error
                except ValidationError as error:
                    raise live.wire.error or Failed(f"{shown} answers what the protocol does not know") from error

    async def _unchanged(self, live: Live, name: str, known: str, seconds: float) -> None:
        """Asks for the list once a session, and again where the server says that it changed."""
        if live.tools is None or live.told_anew:
            live.told_anew = False
            live.tools = fingerprints(await pages(live.session, "tools/list", "tools", seconds=seconds))
        if name not in live.tools:
            raise NotFound(
                f"{self._system} has no tool {name!r} any more: `factotum tools refresh {self._system}` takes that over"
            )
        if live.tools[name] != known:
            raise NotPermitted(
                f"{self._system} describes its tool {name!r} otherwise than when the source was read, so it is not "
                f"called: `factotum tools refresh {self._system}` shows what changed and takes it over"
            )


def _meaning(what: str, error: MCPError, *, refused: bool) -> ToolError:
    message = f"{what} answered error {error.code}: {error.message}"
    match error.code:
        case types.INVALID_PARAMS:
            meant: ToolError = InvalidArgument(message)
        case types.METHOD_NOT_FOUND | -32002:  # MCP before 2026-07-28: there is no such resource
            meant = NotFound(message)
        case types.URL_ELICITATION_REQUIRED:
            meant = NotPermitted(f"{message}. A person must agree at an address of the server's first")
        case _:
            meant = mcp_session.failure(what, error)
    if refused:
        meant.effect_possible = False
    return meant
