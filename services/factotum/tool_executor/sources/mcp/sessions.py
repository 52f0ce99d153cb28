"""Sessions with MCP servers that stay open between calls: to start a server of node takes 0.3 s and to end it as
long, a call of it 1 ms.

A session serves one call at a time, so that what goes wrong on its way belongs to that call. Each is kept by a task
of its own: the library's groups of tasks must end in the task that began them.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from mcp.client.session import ClientSession
from mcp.shared.dispatcher import Dispatcher
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND, InitializeResult

from factotum.connectors.protocols.mcp_wire import Wire
from factotum.sdk.errors import ToolError

log = structlog.get_logger(__name__)

# Seconds. A session that served a call just now is taken to be well; any other is asked first.
_FRESH = 1.0
_PING = 2.0
_CLOSING = 5.0


@dataclass(slots=True)
class Live:
    """An open session.

    Attributes:
        dispatcher: what the session sends by, for requests that it does not know.
        tools: fingerprints of the server's tools by name, as it told them last; None before it was asked.
        told_anew: the server said that its tools changed since.
        used: it served a call before the present one.
        doubtful: a call on it was broken off; it is asked before it serves another.
        broken: it serves no more.
    """

    session: ClientSession
    dispatcher: Dispatcher[Any]
    wire: Wire
    server: InitializeResult
    tools: dict[str, str] | None = None
    told_anew: bool = False
    used: bool = False
    doubtful: bool = False
    broken: bool = False


Opening = Callable[[], AbstractAsyncContextManager[Live]]


class _Kept:
    """A session and the task that keeps it open."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[Live] = asyncio.get_running_loop().create_future()
        # Not of the call that happens to be the first: neither its trace nor its log belongs to the others.
        self.task = asyncio.create_task(self._keep(), context=contextvars.Context())
        self.since = 0.0
        self.timer: asyncio.TimerHandle | None = None

    async def live(self) -> Live:
        """Raises what opening it raises."""
        try:
            return await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            self.task.cancel()
            raise

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self._closing.set()

    async def _keep(self) -> None:
        try:
            async with self._opening() as live:
                self._opened.set_result(live)
                await self._closing.wait()
        except asyncio.CancelledError:
            self._opened.cancel()
            raise
        # What ends a session that is not used ends no call: the next one opens another.
        except Exception as error:
            if self._opened.done():
                log.info("an MCP session broke off", reason=type(error).__name__)
            else:
                self._opened.set_exception(error)
        finally:
            if self._opened.done() and not self._opened.cancelled() and self._opened.exception() is None:
                self._opened.result().broken = True


class _Shelf:
    """The sessions of one server."""

    def __init__(self, most: int) -> None:
        self.places = asyncio.Semaphore(most)
        self.idle: list[_Kept] = []


class Sessions:
    """Sessions by what they are for; a key stands for one tenant, one way to one server and one set of credentials."""

    def __init__(self) -> None:
        self._shelves: dict[Hashable, _Shelf] = {}
        self._kept: set[_Kept] = set()
        self._waiting: defaultdict[Hashable, int] = defaultdict(int)

    @property
    def open(self) -> int:
        """How many there are, in use or idle."""
        return len(self._kept)

    @asynccontextmanager
    async def borrowed(
        self, key: Hashable, opening: Opening, *, most: int, idle_seconds: float, fresh: bool = False
    ) -> AsyncIterator[Live]:
        """A session for the block alone: the one that was used last, or a new one. Raises what opening raises.

        Args:
            most: how many there are at a time; where all are in use, one is waited for.
            idle_seconds: after which one that nobody uses is closed.
            fresh: those that were used before are closed, and a new one is opened.
        """
        shelf = self._shelves.setdefault(key, _Shelf(most))
        self._waiting[key] += 1
        try:
            async with shelf.places:
                kept, live = await self._taken(shelf, opening, fresh=fresh)
                try:
                    yield live
                except ToolError:
                    raise
                except BaseException:
                    live.doubtful = True
                    raise
                finally:
                    self._returned(shelf, kept, live, idle_seconds)
        finally:
            self._waiting[key] -= 1
            self._swept(key)

    async def aclose(self) -> None:
        """Ends all sessions, those of calls under way too."""
        kept, self._kept = self._kept, set()
        self._shelves.clear()
        for one in kept:
            one.close()
        tasks = {one.task for one in kept}
        if tasks:
            _, slow = await asyncio.wait(tasks, timeout=_CLOSING)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    async def _taken(self, shelf: _Shelf, opening: Opening, *, fresh: bool) -> tuple[_Kept, Live]:
        while shelf.idle:
            kept = shelf.idle.pop()
            live = await kept.live()
            if kept.timer is not None:
                kept.timer.cancel()
            if not fresh and await self._well(kept, live):
                live.used, live.doubtful = True, False
                return kept, live
            kept.close()
        kept = _Kept(opening)
        self._kept.add(kept)
        kept.task.add_done_callback(lambda _: self._kept.discard(kept))
        return kept, await kept.live()

    async def _well(self, kept: _Kept, live: Live) -> bool:
        if live.broken or live.wire.error is not None:
            return False
        live.wire.refused = False
        if not live.doubtful and asyncio.get_running_loop().time() - kept.since < _FRESH:
            return True
        try:
            async with asyncio.timeout(_PING):
                await live.session.send_ping()
        except MCPError as error:
            # An answer, though it be that there is no ping.
            return error.code == METHOD_NOT_FOUND and live.wire.error is None and not live.wire.refused
        except TimeoutError:
            return False
        return live.wire.error is None

    def _returned(self, shelf: _Shelf, kept: _Kept, live: Live, idle_seconds: float) -> None:
        if live.broken or kept not in self._kept:
            kept.close()
            return
        loop = asyncio.get_running_loop()
        kept.since = loop.time()
        kept.timer = loop.call_later(idle_seconds, self._forgotten, shelf, kept)
        shelf.idle.append(kept)

    def _forgotten(self, shelf: _Shelf, kept: _Kept) -> None:
        if kept in shelf.idle:
            shelf.idle.remove(kept)
        kept.close()

    def _swept(self, key: Hashable) -> None:
        shelf = self._shelves.get(key)
        if shelf is not None and not shelf.idle and not self._waiting[key]:
            del self._shelves[key]
        if not self._waiting[key]:
            del self._waiting[key]
