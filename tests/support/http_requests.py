"""Calls of http.request, by settings that allow loopback."""

from __future__ import annotations

from typing import Any

from factotum.connectors.protocols.http import HttpSettings, Request, request
from factotum.sdk.context import ToolContext
from tests.support.tool_calls import tool_context

LOOPBACK = "http://127.0.0.1:*"


def context(*allow: str, secrets: dict[str, str] | None = None, **settings: Any) -> ToolContext[HttpSettings]:
    return tool_context(HttpSettings(allow=list(allow) or [LOOPBACK], **settings), **(secrets or {}))


async def send(
    endpoint: Any, method: str = "get", *, at: ToolContext[HttpSettings] | None = None, **arguments: Any
) -> Any:
    asked = Request.model_validate({"method": method, "endpoint": endpoint, **arguments})
    return (await request.function(asked, at or context())).root
