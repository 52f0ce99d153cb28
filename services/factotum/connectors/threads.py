"""Work in a thread, for libraries that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import Any, TypeVar

from factotum.sdk.errors import Cancelled, ToolError

T = TypeVar("T")

# Between two requests to stop: one that comes between two steps of the work is not heard.
_AGAIN_SECONDS = 0.2
_AT_ONCE = 32


@cache
def _threads() -> ThreadPoolExecutor:
    """Of their own: systems that are slow leave the loop's threads to whoever else reads a file."""
    return ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="connector")


async def in_thread(work: Callable[[], T], *, stop: Callable[[], None] | None = None, patience: float = 5.0) -> T:
    """What `work` gives or raises. It is not left alone when this is cancelled: what it then still gives counts, and
    a `ToolError` that it raises becomes `Cancelled`, with what it says of the effect.

    Args:
        stop: asks the work to end; may block, and is called again until the work has ended.
        patience: seconds that the work may go on after that; then it is left alone after all.
    """
    work_here = copy_context().run
    running = asyncio.get_running_loop().run_in_executor(_threads(), work_here, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
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
            # Of its own: the threads may all be at work that waits to be stopped.
            threading.Thread(target=stop, daemon=True).start()
        await asyncio.wait({running}, timeout=_AGAIN_SECONDS)
