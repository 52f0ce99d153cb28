"""A tenant's way to its MCP server: opening a session there, and asking it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2
import mcp_types as types
from mcp.client._transport import TransportStreams
from mcp.client.session import ClientSession, IncomingMessage
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from pydantic import RootModel, ValidationError

from factotum.connectors.protocols.authentication import Authentication, http_auth
from factotum.connectors.protocols.egress import Egress
from factotum.connectors.protocols.exchange import checked_headers
from factotum.connectors.protocols.mcp_session import failure, opened
from factotum.connectors.protocols.mcp_stdio import over_process
from factotum.connectors.protocols.mcp_wire import Wire, over_http
from factotum.runtime.secrets.names import SCHEME
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Failed, ToolError, Unavailable
from factotum.sdk.processes import SEARCH
from factotum.sdk.sandbox import Command
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sources.mcp.config import McpConfig, Program, Remote
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.mcp.sessions import Live

CLIENT = types.Implementation(name="factotum", version="1.0.0")
_MOST_PAGES = 200


class Result(RootModel[dict[str, Any]]):
    """A JSON-RPC result, as it was sent."""


@dataclass(frozen=True, slots=True)
class Access:
    """One tenant's server. `secret` gives the value behind `secret://name`; raises `NotPermitted`."""

    tenant: str
    system: str
    config: McpConfig
    secret: Callable[[str], str]
    now: Callable[[], datetime]
    sandbox: Bubblewrap
    machine: Machine

    @property
    def key(self) -> Hashable:
        """Sessions of other credentials, or of another configuration, are other sessions."""
        values = [self.secret(reference) for reference in self.config.references()]
        parts = json.dumps([self.config.model_dump_json(), *values])
        return self.tenant, self.system, hashlib.sha256(parts.encode()).hexdigest()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Live]:
        """A session that ends with the block, which raises nothing. Raises `ToolError`, always without effect."""
        wire, config = Wire(), self.config
        live: Live | None = None
        failed: ToolError | None = None

        async def heard(message: IncomingMessage) -> None:
            if live is not None and isinstance(message, types.ToolListChangedNotification):
                live.told_anew = True

        try:
            async with AsyncExitStack() as stack:
                reads, writes = await stack.enter_async_context(await self._transport(wire))
                dispatcher: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(reads, writes)
                session = await stack.enter_async_context(
                    ClientSession(dispatcher=dispatcher, client_info=CLIENT, message_handler=heard)
                )
                # Nothing may be raised across the library's groups of tasks: they would make a group of it.
                try:
                    server = await opened(session, config.protocol_version, CLIENT, config.timeout)
                except MCPError as error:
                    failed = wire.error or failure(self.system, error)
                except ValidationError:
                    failed = wire.error or Failed(f"{self.system} answers what the protocol does not know")
                else:
                    live = Live(session, dispatcher, wire, server)
                    yield live
        except ExceptionGroup as error:
            # Of the library's own tasks: what they met is noted, or is a fault of theirs.
            failed = wire.error or Unavailable(f"{self.system} broke off: {error.exceptions[0]}")
        except ToolError as error:
            failed = error
        if live is None and isinstance(failed, Unavailable) and (advice := self._unseen()):
            failed = Failed(f"{failed.message}; {advice}")
        if failed is not None:
            failed.effect_possible = False
            raise failed

    def _unseen(self) -> str:
        program = self.config.stdio
        return "" if program is None or program.unsandboxed else self.machine.unseen(program)

    async def _transport(self, wire: Wire) -> AbstractAsyncContextManager[TransportStreams]:
        if self.config.http is not None:
            return await self._over_http(self.config.http, wire)
        assert self.config.stdio is not None
        self.machine.check_start(self.config.stdio, self.tenant)
        return self._over_stdio(self.config.stdio, wire)

    async def _over_http(self, remote: Remote, wire: Wire) -> AbstractAsyncContextManager[TransportStreams]:
        config = self.config
        egress = Egress([_origin(remote.url), *config.allow], where=f"allow of the source {self.system}")
        headers = {name: self._valued(value) for name, value in remote.headers.items()}
        return over_http(
            remote.url,
            checked_headers(headers),
            await http_auth(self._policy(remote), self._context(), egress, timeout=config.timeout),
            egress=egress,
            wire=wire,
            timeout=max(config.timeout, config.longest_seconds),
            limit=config.max_bytes,
            now=self.now,
        )

    @asynccontextmanager
    async def _over_stdio(self, program: Program, wire: Wire) -> AsyncIterator[TransportStreams]:
        environment = {name: self._valued(value) for name, value in program.environment.items()}
        limit = self.config.max_bytes
        if program.unsandboxed:
            plain = {"PATH": SEARCH, "HOME": "/nonexistent", "LANG": "C.UTF-8"}
            async with over_process(program.command, {**plain, **environment}, wire=wire, limit=limit) as streams:
                yield streams
            return
        # Programs of node reserve far more than they use.
        command = Command(program.command, environment=environment, hosts=program.hosts, bound_address_space=False)
        async with (
            self.sandbox.launched(command, program.limits, folders=program.folders) as launch,
            over_process(launch.argv, {}, wire=wire, limit=limit, files=launch.files, look=launch.look) as streams,
        ):
            yield streams

    def _policy(self, remote: Remote) -> Authentication | None:
        if remote.authentication is None:
            return None
        given = remote.authentication.model_dump(mode="json", exclude_none=True)
        return Authentication.model_validate(self._with_values(given))

    def _with_values(self, value: Any) -> Any:
        if isinstance(value, dict):
            # What `use` names is resolved where it is used: it may be a whole configuration.
            return {name: inner if name == "use" else self._with_values(inner) for name, inner in value.items()}
        return self._valued(value) if isinstance(value, str) else value

    def _valued(self, text: str) -> str:
        return self.secret(text) if text.startswith(SCHEME) else text

    def _context(self) -> ToolContext[McpConfig]:
        return ToolContext(
            tenant=self.tenant,
            idempotency_key="",
            run_id="",
            started_at=self.now(),
            settings=self.config,
            secret=self.secret,
            now=self.now,
            declared_secret=self.secret,
        )


async def asked(
    session: ClientSession,
    method: str,
    params: dict[str, Any],
    *,
    seconds: float,
    progress: ProgressFnT | None = None,
) -> dict[str, Any]:
    """The result of a request. Raises `MCPError`, pydantic's `ValidationError`."""
    request = types.Request[dict[str, Any], str](method=method, params=params)
    answer = await session.send_request(
        request, Result, request_read_timeout_seconds=seconds, progress_callback=progress
    )
    return answer.root


async def pages(session: ClientSession, method: str, field: str, *, seconds: float) -> list[dict[str, Any]]:
    """What a method lists, over all its pages. Raises what `asked` does; `Failed` for a list without end."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    for _ in range(_MOST_PAGES):
        page = await asked(session, method, params, seconds=seconds)
        found += page[field]
        if not page.get("nextCursor"):
            return found
        params = {"cursor": page["nextCursor"]}
    raise Failed(f"{method} has more than {_MOST_PAGES} pages", effect_possible=False)


def _origin(url: str) -> str:
    parsed = httpx2.URL(url)
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"{parsed.scheme}://{host}" + (f":{parsed.port}" if parsed.port else "")
