"""Running a process until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

# Seconds that a process has to end by itself; then what it still waits for is cancelled.
GRACE_SECONDS = 8.0


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `main(stop)`; `stop` is set by SIGTERM or SIGINT, after which `main` is expected to return.

    A `main` that is still waiting for something else, such as a server that does not answer, is
    cancelled after `GRACE_SECONDS`, or at once by a second signal.
    """

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        work = asyncio.ensure_future(main(stop))

        def stop_now() -> None:
            if stop.is_set():
                work.cancel()
            stop.set()
            loop.call_later(GRACE_SECONDS, work.cancel)

        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop_now)
        with contextlib.suppress(asyncio.CancelledError):
            await work

    asyncio.run(supervised())
