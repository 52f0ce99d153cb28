"""Tools that must be called as tasks (MCP 2025-11-25, Tasks): begun by one request, and asked for until they end.

The library's session does not know them, so the requests are sent as they stand in the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER

from factotum.sdk.errors import Failed
from factotum.tool_executor.sources.mcp.sessions import Live

_POLL_SECONDS = 1.0
_LONGEST_POLL = 5.0
_CANCEL_SECONDS = 1.0


def required(tool: dict[str, Any]) -> bool:
    """Whether the server takes calls of the tool as tasks only."""
    execution = tool.get("execution")
    return isinstance(execution, dict) and execution.get("taskSupport") == "required"


async def called(
    live: Live, params: dict[str, Any], *, seconds: float, told: Callable[[str, float | None], None]
) -> dict[str, Any]:
    """The result of `tools/call`. What keeps it from being had ends the task on the server too.

    Raises `Failed`, `MCPError`, pydantic's `ValidationError`.
    """
    begun = await _asked(live, "tools/call", {**params, "task": {"ttl": int(seconds * 1000)}}, seconds)
    task = _task(begun.get("task"))
    try:
        async with asyncio.timeout(seconds):
            while task["status"] == "working":
                told(str(task.get("statusMessage") or "working"), None)
                await asyncio.sleep(_between(task))
                task = _task(await _asked(live, "tasks/get", {"taskId": task["taskId"]}, seconds))
            if task["status"] == "completed":
                return await _result(live, task["taskId"], seconds)
    except TimeoutError:
        await _ended(live, task)
        raise MCPError(types.REQUEST_TIMEOUT, f"its task has not ended within {seconds:g} s") from None
    except asyncio.CancelledError:
        await _ended(live, task)
        raise
    if task["status"] == "input_required":
        await _ended(live, task)
        raise Failed(f"{params['name']} asks for something that nobody is there to answer")
    raise Failed(f"{params['name']}: its task has {task['status']}: {task.get('statusMessage') or 'no reason given'}")


async def _result(live: Live, task: str, seconds: float) -> dict[str, Any]:
    result = await _asked(live, "tasks/result", {"taskId": task}, seconds)
    types.CallToolResult.model_validate(result, by_name=False)
    return result


def _task(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict) or not isinstance(told.get("taskId"), str) or "status" not in told:
        raise Failed("the MCP server answers a call as a task with what is no task")
    return told


def _between(task: dict[str, Any]) -> float:
    interval = task.get("pollInterval")
    return min(interval / 1000, _LONGEST_POLL) if isinstance(interval, int | float) and interval > 0 else _POLL_SECONDS


async def _ended(live: Live, task: dict[str, Any]) -> None:
    # A courtesy: a server that does not answer it ends the task by its time to live.
    with suppress(MCPError):
        await asyncio.shield(_asked(live, "tasks/cancel", {"taskId": task["taskId"]}, _CANCEL_SECONDS))


async def _asked(live: Live, method: str, params: dict[str, Any], seconds: float) -> dict[str, Any]:
    headers = {MCP_PROTOCOL_VERSION_HEADER: str(live.server.protocol_version)}
    return await live.dispatcher.send_raw_request(method, params, {"timeout": seconds, "headers": headers})
