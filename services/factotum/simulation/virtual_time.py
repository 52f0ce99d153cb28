"""Time that passes only when nothing else can go on, on an event loop of its own.

The loop asks its selector to wait exactly when no coroutine can go on; that is the moment to let time pass.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTime:
    """A clock with an agenda. What is due ends in the order of its deadlines, then in the order of asking."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self.elapsed = 0.0
        self._agenda: list[tuple[float, int, Callable[[], bool]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.elapsed)

    def at(self, elapsed: float, act: Callable[[], bool]) -> None:
        """Has something done at a moment (seconds since the start); it says whether it still mattered."""
        heapq.heappush(self._agenda, (elapsed, next(self._order), act))

    async def sleep(self, seconds: float) -> None:
        bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ring() -> bool:
            if bell.done():
                return False
            bell.set_result(None)
            return True

        self.at(self.elapsed + seconds, ring)
        await bell

    def advance(self) -> bool:
        """Goes on to the next thing that is due; False if nothing is."""
        while self._agenda:
            due, _, act = heapq.heappop(self._agenda)
            before, self.elapsed = self.elapsed, max(self.elapsed, due)
            if act():
                return True
            self.elapsed = before
        return False


class _Selector(selectors.DefaultSelector):
    """Asks what to do whenever the loop would wait."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if (timeout is None or timeout > 0) and self._idle():
            timeout = 0
        return super().select(timeout)


def run(work: Callable[[], Coroutine[Any, Any, T]], idle: Callable[[], bool]) -> T:
    """What the work gives, on a loop of its own: not to be called where a loop is running.

    Args:
        idle: called when no coroutine can go on. It makes one go on, or gives False: then the loop waits
            for what is outside of it, e.g. a process.
    """
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Selector(idle))) as runner:
        return runner.run(work())
