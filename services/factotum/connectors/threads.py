"""Work in a thread, for libraries that block."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, TypeVar

from factotum.sdk.errors import Cancelled, ToolError

T = TypeVar("T")

# Between two requests to stop: one that comes between two steps of the work is not heard.
_AGAIN_SECONDS = 0.2
# Of one lane.
AT_ONCE = 12


class Lanes:
    """Threads, of which each lane has so many and no more: whoever lets his own wait for ever, or does what nothing
    can stop, leaves the others theirs. They end with the process, whatever they do."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}

    def submit(self, lane: str, work: Callable[[], T]) -> Future[T]:
        """What `work` gives or raises; cancelled, it is never begun if it has not been."""
        given: Future[T] = Future()
        with self._lock:
            if self._running.get(lane, 0) == self._at_once:
                self._waiting.setdefault(lane, deque()).append((given, work))
                return given
            self._running[lane] = self._running.get(lane, 0) + 1
        threading.Thread(target=self._run, args=(lane, given, work), name=f"connector {lane}", daemon=True).start()
        return given

    def _run(self, lane: str, given: Future[Any], work: Callable[[], Any]) -> None:
        while True:
            if given.set_running_or_notify_cancel():
                try:
                    result = work()
                # Whatever it is, it belongs to who waits for it.
                except BaseException as error:
                    given.set_exception(error)
                else:
                    given.set_result(result)
            with self._lock:
                if not (waiting := self._waiting.get(lane)):
                    self._waiting.pop(lane, None)
                    self._running[lane] -= 1
                    if not self._running[lane]:
                        del self._running[lane]
                    return
                given, work = waiting.popleft()


_lanes = Lanes(AT_ONCE)


async def in_thread(
    work: Callable[[], T], *, lane: str, stop: Callable[[], None] | None = None, patience: float = 5.0
) -> T:
    """What `work` gives or raises. It is not left alone when this is cancelled: what it then still gives counts, and
    a `ToolError` that it raises becomes `Cancelled`, with what it says of the effect. Work that has not begun by then
    never does.

    Args:
        lane: whose work it is, e.g. of a system and a tenant: more of one than `AT_ONCE` waits, and holds up no other.
        stop: asks the work to end; may block, and is called again until the work has ended.
        patience: seconds that the work may go on after that; then it is left alone after all.
    """
    work_here = copy_context().run
    given = _lanes.submit(lane, lambda: work_here(work))
    running = asyncio.wrap_future(given)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if given.cancel():
            raise
        await _ended(running, stop, patience)
        if not running.done() or running.cancelled():
            raise
        error = running.exception()
        if isinstance(error, ToolError):
            raise Cancelled(error.message, effect_possible=error.effect_possible) from error
        return running.result()


async def _ended(running: asyncio.Future[Any], stop: Callable[[], None] | None, patience: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while not running.done() and loop.time() < until:
        if stop is not None:
            # Of its own: the lane may be full of work that waits to be stopped.
            threading.Thread(target=stop, daemon=True).start()
        await asyncio.wait({running}, timeout=_AGAIN_SECONDS)
