"""Calls of servers that speak the Model Context Protocol (`call: mcp`), one session each.

The protocol's own annotations of tools (readOnlyHint and the like) are a server's word about itself: they
permit nothing here. Which tools only read, the tenant's settings say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

import mcp_types as types
from mcp.client._transport import TransportStreams
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from factotum.connectors.protocols.authentication import http_auth
from factotum.connectors.protocols.egress import Egress, EgressSettings, egress
from factotum.connectors.protocols.exchange import checked_headers
from factotum.connectors.protocols.external_resource import Endpoint, endpoint, nothing_begun
from factotum.connectors.protocols.mcp_session import KEY, Version, failure, opened, words
from factotum.connectors.protocols.mcp_stdio import SERVER_LIMITS, over_process
from factotum.connectors.protocols.mcp_wire import Wire, over_http
from factotum.sdk import sandbox
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Failed, NotPermitted, ToolError, Unavailable
from factotum.sdk.http import HTTP_ERRORS
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

Method = Literal[
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
]
_CALL = "tools/call"
_MOST_SECONDS = 600.0


def _duration(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    try:
        return timedelta(**value)
    except TypeError as error:
        raise ValueError(f"no duration: {error}") from error


# Of the language: ISO 8601, or a mapping such as {seconds: 5}.
Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})
]


class Command(BaseModel):
    """A server that may be started: with just these arguments, and with variables of these names. In its sandbox it
    reads the machine's programs and `folders`, reaches `hosts` by HTTP through a proxy, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str = Field(min_length=1)
    arguments: list[str] = []
    environment: list[str] = []
    folders: list[Annotated[str, Field(pattern=r"^/[^/]")]] = Field(
        default=[], description="Of the machine, that it may read, such as the one it is installed in."
    )
    hosts: list[str] = Field(default=[], description="host, host:port or *.domain of whom it may reach.")
    limits: sandbox.Limits = SERVER_LIMITS


class McpSettings(EgressSettings):
    commands: list[Command] = Field(default=[], description="Servers that may be started by `stdio`.")
    reads: list[str] = Field(default=[], description="Names of tools that only read: they may be called again.")


class Http(BaseModel):
    model_config = ConfigDict(extra="forbid")

    endpoint: str | Endpoint
    headers: dict[str, str] = {}


class Stdio(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: str = Field(min_length=1)
    arguments: list[str] = []
    environment: dict[str, str] = {}


class Transport(BaseModel):
    """`options` are accepted and not read: neither transport has any."""

    model_config = ConfigDict(extra="forbid")

    http: Http | None = None
    stdio: Stdio | None = None
    options: dict[str, str] = {}

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.http is None) is (self.stdio is None):
            raise ValueError("give either http or stdio")
        return self


class Client(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    description: str | None = None


class McpCall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    protocolVersion: Version = "2025-06-18"
    method: Method
    parameters: dict[str, Any] = {}
    timeout: Duration | None = None
    transport: Transport
    client: Client = Client(name="factotum", version="1.0.0")


class McpOutput(RootModel[dict[str, Any]]):
    """The JSON-RPC result."""


connector = Connector("mcp", settings=McpSettings)


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=_MOST_SECONDS + 60.0,
    sandbox=True,
    errors=(*HTTP_ERRORS, Ambiguous),
    examples=[
        Example(
            title="Call a tool of a server",
            arguments={
                "method": "tools/call",
                "parameters": {"name": "take_note", "arguments": {"text": "Order a laptop for Ada"}},
                "transport": {"http": {"endpoint": "https://notes.example.com/mcp"}},
            },
            output={"content": [{"type": "text", "text": "noted"}]},
        )
    ],
)
async def call(arguments: McpCall, context: ToolContext[McpSettings]) -> McpOutput:
    """Call a method of an MCP server.

    A tool's own error (isError) is a failure of the call. It is given the idempotency key as `_meta`.
    """
    wire = Wire()
    with nothing_begun():
        transport = await _transport(arguments, context, wire)
    outcome = await _outcome(arguments, context, transport, wire)
    if isinstance(outcome, ToolError):
        raise outcome
    if outcome.root.get("isError") is True:
        raise Failed(f"{_shown(arguments)} failed: {words(outcome.root)}")
    size = len(outcome.model_dump_json())
    if size > context.settings.max_bytes:
        raise Failed(f"{_shown(arguments)} answers {size} bytes, more than the tenant's {context.settings.max_bytes}")
    return outcome


@call.narrow
async def _(arguments: McpCall, context: ToolContext[McpSettings]) -> tuple[Effect, Idempotency]:
    if arguments.method != _CALL or arguments.parameters.get("name") in context.settings.reads:
        return Effect.NONE, Idempotency.NATIVE
    return Effect.EXECUTE, Idempotency.RECONCILE


@call.reconcile
async def _(arguments: McpCall, context: ToolContext[McpSettings]) -> McpOutput | None:
    """The protocol has no question of what became of a call."""
    raise Ambiguous(f"an MCP server cannot be asked whether {_shown(arguments)} was carried out")


async def _transport(
    arguments: McpCall, context: ToolContext[McpSettings], wire: Wire
) -> AbstractAsyncContextManager[TransportStreams]:
    """Raises `NotPermitted` for a command that is not allowed; what may be reached is seen when it is."""
    stdio, http, settings = arguments.transport.stdio, arguments.transport.http, context.settings
    if stdio is not None:
        for allowed in settings.commands:
            same = (allowed.command, allowed.arguments) == (stdio.command, stdio.arguments)
            if same and stdio.environment.keys() <= set(allowed.environment):
                return _in_sandbox(allowed, stdio.environment, context, wire)
        raise NotPermitted(
            f"the MCP server {stdio.command!r} may not be started: add it, with these arguments and the names of its "
            f"variables, to tenants.{context.tenant}.mcp.commands of the connectors file"
        )
    assert http is not None
    at, way = endpoint(http.endpoint), _egress(context)
    return over_http(
        at.uri,
        checked_headers(http.headers),
        await http_auth(at.authentication, context, way, timeout=settings.timeout),
        egress=way,
        wire=wire,
        timeout=max(settings.timeout, _seconds(arguments, context)),
        limit=settings.max_bytes,
        now=context.now,
    )


@asynccontextmanager
async def _in_sandbox(
    allowed: Command, environment: dict[str, str], context: ToolContext[McpSettings], wire: Wire
) -> AsyncIterator[TransportStreams]:
    # Programs of node reserve far more than they use.
    command = sandbox.Command(
        [allowed.command, *allowed.arguments], environment=environment, hosts=allowed.hosts, bound_address_space=False
    )
    async with (
        context.sandbox.launched(command, allowed.limits, folders=allowed.folders) as launch,
        over_process(
            launch.argv, {}, wire=wire, limit=context.settings.max_bytes, files=launch.files, look=launch.look
        ) as streams,
    ):
        yield streams


async def _outcome(
    arguments: McpCall,
    context: ToolContext[McpSettings],
    transport: AbstractAsyncContextManager[TransportStreams],
    wire: Wire,
) -> McpOutput | ToolError:
    """The result, or what went wrong: where it did so is what says whether an effect is possible."""
    began = False
    try:
        async with (
            transport as (reads, writes),
            ClientSession(reads, writes, client_info=_client(arguments)) as session,
        ):
            try:
                await opened(session, arguments.protocolVersion, _client(arguments), context.settings.timeout)
                began = True
                params = _parameters(arguments, context.idempotency_key)
                request = types.Request[dict[str, Any], str](method=arguments.method, params=params)
                seconds = _seconds(arguments, context)
                return await session.send_request(request, McpOutput, request_read_timeout_seconds=seconds)
            except MCPError as error:
                failed: ToolError = wire.error or failure(_shown(arguments), error)
            except ValidationError as error:
                failed = wire.error or Failed(f"{_shown(arguments)} answers what the protocol does not know: {error}")
    except ToolError as error:  # of the sandbox, in which the server was to be started
        failed = error
    except ExceptionGroup as error:
        # The library's tasks: what they met is noted, or is a fault of theirs.
        failed = wire.error or Unavailable(f"{_shown(arguments)} broke off: {error.exceptions[0]}")
    if not began:
        failed.effect_possible = False
    return failed


def _parameters(arguments: McpCall, key: str) -> dict[str, Any]:
    if arguments.method != _CALL:
        return arguments.parameters
    given = arguments.parameters.get("_meta")
    return {**arguments.parameters, "_meta": {KEY: key, **(given if isinstance(given, dict) else {})}}


def _shown(arguments: McpCall) -> str:
    tool = arguments.parameters.get("name") if arguments.method in (_CALL, "prompts/get") else None
    return f"{arguments.method} {tool}" if isinstance(tool, str) else arguments.method


def _client(arguments: McpCall) -> types.Implementation:
    return types.Implementation(name=arguments.client.name, version=arguments.client.version)


def _seconds(arguments: McpCall, context: ToolContext[McpSettings]) -> float:
    if arguments.timeout is None:
        return context.settings.timeout
    return min(arguments.timeout.total_seconds(), _MOST_SECONDS)


def _egress(context: ToolContext[Any]) -> Egress:
    return egress(context, connector.system)
