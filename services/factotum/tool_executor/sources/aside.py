"""Long work beside the event loop, which nobody can end: it is given up, and goes on."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def begun(work: Callable[[], T], *, name: str) -> asyncio.Future[T]:
    """The outcome of the work on a thread of its own, which keeps no process from ending. Cancelling gives it up."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    # One that was given up may fail without anybody being told.
    outcome.add_done_callback(lambda done: done.cancelled() or done.exception())
    context = contextvars.copy_context()

    def told(settle: Callable[[], None]) -> None:
        def once() -> None:
            if not outcome.done():
                settle()

        # The loop has ended before the work.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(once)

    def run() -> None:
        try:
            done = context.run(work)
        # Whatever it is, it is for who waits; what would end a process ends this work alone.
        except BaseException as error:
            failed = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
            told(lambda: outcome.set_exception(failed))
        else:
            told(lambda: outcome.set_result(done))

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
