"""Opening a session with an MCP server, and what its errors mean. Shared by `mcp.call` and the sources of MCP."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import mcp_types as types
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from factotum.connectors.protocols import jsonrpc
from factotum.sdk.errors import ToolError, Unavailable

Version: TypeAlias = Literal["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]

# Where a call carries its idempotency key: in the `_meta` of its parameters.
KEY = "factotum/idempotencyKey"
# The library answers -32700 and -32600 itself for an answer that it cannot read: only these are a refusal.
REFUSALS = frozenset({types.METHOD_NOT_FOUND, types.INVALID_PARAMS})
LOST = frozenset({types.CONNECTION_CLOSED, types.REQUEST_TIMEOUT})
_WORDS_LIMIT = 500


async def opened(
    session: ClientSession, version: Version, client: types.Implementation, seconds: float
) -> types.InitializeResult:
    """Opens the session in a version; a server may answer with another that is spoken here.

    Nothing is offered to the server: what it asks for, such as sampling or elicitation, is refused.
    Raises `MCPError`, pydantic's `ValidationError`.
    """
    asked = types.InitializeRequestParams(
        protocol_version=version, capabilities=types.ClientCapabilities(), client_info=client
    )
    result = await session.send_request(
        types.InitializeRequest(params=asked), types.InitializeResult, request_read_timeout_seconds=seconds
    )
    if result.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
        raise MCPError(types.INVALID_REQUEST, f"it speaks version {result.protocol_version}, which is not spoken here")
    session.adopt(result)
    await session.send_notification(types.InitializedNotification())
    return result


def failure(what: str, error: MCPError) -> ToolError:
    """What an error of the protocol means to the call of `what`."""
    if error.code in LOST:
        return Unavailable(f"{what} does not answer: {error.message}")
    return jsonrpc.failure(what, error.code, error.message, refusals=REFUSALS)


def words(result: dict[str, Any]) -> str:
    """What the texts of a result say, for an error message."""
    parts = result.get("content")
    texts = (
        [str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part]
        if isinstance(parts, list)
        else []
    )
    return " ".join(texts).strip()[:_WORDS_LIMIT] or "no reason given"
