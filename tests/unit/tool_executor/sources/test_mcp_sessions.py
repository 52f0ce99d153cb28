"""Sessions that stay open between calls, without any server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from factotum.connectors.protocols.mcp_wire import Wire
from factotum.sdk.errors import Failed, Unavailable
from factotum.tool_executor.sources.mcp import sessions as module
from factotum.tool_executor.sources.mcp.sessions import Live, Sessions


class Server:
    """Opens sessions that are numbered; `pings` is what the next ones are answered with, else all is well."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed: list[int] = []
        self.pings: list[BaseException | None] = []
        self.pinged = 0
        self.refuses: Exception | None = None
        self.slow = 0.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Live]:
        await asyncio.sleep(self.slow)
        if self.refuses is not None:
            raise self.refuses
        self.opened += 1
        number = self.opened
        made: Any = self
        yield Live(made, number, Wire(), made)  # type: ignore[arg-type]
        self.closed.append(number)

    async def send_ping(self) -> None:
        self.pinged += 1
        if self.pings and (error := self.pings.pop(0)) is not None:
            raise error


@pytest.fixture
async def sessions() -> AsyncIterator[Sessions]:
    made = Sessions()
    yield made
    await made.aclose()


def borrowed(sessions: Sessions, server: Server, key: str = "a", **more: Any) -> Any:
    return sessions.borrowed(key, server.open, **{"most": 2, "idle_seconds": 60.0, **more})


async def used(sessions: Sessions, server: Server, key: str = "a", **more: Any) -> int:
    """Which session served."""
    async with borrowed(sessions, server, key, **more) as live:
        number: int = live.dispatcher
        return number


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_after_the_other_share_a_session(sessions: Sessions) -> None:
    server = Server()
    assert [await used(sessions, server) for _ in range(3)] == [1, 1, 1]
    assert server.pinged == 0, "it served a moment ago"
    assert await used(sessions, server, "b") == 2, "another key, another session"


async def test_no_more_at_a_time_than_are_allowed(sessions: Sessions) -> None:
    server, at_once, most = Server(), 0, 0

    async def call() -> None:
        nonlocal at_once, most
        async with borrowed(sessions, server):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1

    await asyncio.gather(*(call() for _ in range(7)))
    assert (most, server.opened, sessions.open) == (2, 2, 2)


@pytest.mark.parametrize("doubt", [asyncio.CancelledError(), RuntimeError("?")])
@pytest.mark.parametrize(
    ("ping", "kept"),
    [
        (None, True),
        (MCPError(types.METHOD_NOT_FOUND, "no ping here"), True),
        (MCPError(types.CONNECTION_CLOSED, "gone"), False),
        (TimeoutError(), False),
    ],
)
async def test_after_a_call_that_was_broken_off_the_session_is_asked(
    sessions: Sessions, doubt: BaseException, ping: BaseException | None, kept: bool
) -> None:
    server = Server()
    with pytest.raises(type(doubt)):
        async with borrowed(sessions, server):
            raise doubt
    server.pings = [ping]
    assert await used(sessions, server) == (1 if kept else 2)
    assert server.pinged == 1
    await settled()
    assert server.closed == ([] if kept else [1])


async def test_one_that_was_idle_for_long_is_asked(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRESH", 0.0)
    server = Server()
    assert [await used(sessions, server), await used(sessions, server)] == [1, 1]
    assert server.pinged == 1


async def test_one_whose_way_broke_serves_no_more(sessions: Sessions) -> None:
    server = Server()
    async with borrowed(sessions, server) as live:
        live.wire.error = Unavailable("the server has ended")
    assert await used(sessions, server) == 2
    with pytest.raises(Failed):
        async with borrowed(sessions, server):
            raise Failed("the tool's own")
    assert await used(sessions, server) == 2, "a tool's error says nothing of the session"


async def test_a_fresh_one_is_a_new_one(sessions: Sessions) -> None:
    server = Server()
    await used(sessions, server)
    assert await used(sessions, server, fresh=True) == 2
    await settled()
    assert server.closed == [1]


async def test_idle_ones_are_closed(sessions: Sessions) -> None:
    server = Server()
    await used(sessions, server, idle_seconds=0.02)
    await asyncio.sleep(0.05)
    assert (server.closed, sessions.open) == ([1], 0)


async def test_what_keeps_from_opening_is_told_and_leaves_room(sessions: Sessions) -> None:
    server = Server()
    server.refuses = Unavailable("away")
    for _ in range(3):
        with pytest.raises(Unavailable, match="away"):
            await used(sessions, server, most=1)
    server.refuses, server.slow = None, 5.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await used(sessions, server, most=1)
    await settled()
    assert sessions.open == 0, "who waited is gone, and so is what was opened for it"
    server.slow = 0.0
    assert await used(sessions, server, most=1) == 1


async def test_closing_ends_those_in_use_too(sessions: Sessions) -> None:
    server = Server()
    async with borrowed(sessions, server) as live:
        await used(sessions, server)
        await sessions.aclose()
        assert sorted(server.closed) == [1, 2] and live.broken
    assert sessions.open == 0
    assert await used(sessions, server) == 3
