"""Waiting for the first of several, in an order that is the same on every replay."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any


async def first_done(futures: Sequence[asyncio.Future[Any]]) -> int:
    """The index of the first one that is done, by result, error or cancelling; the lowest of several.

    `asyncio.wait` keeps its futures in a set, whose order differs from process to process.
    """
    loop = asyncio.get_running_loop()
    bell: asyncio.Future[None] = loop.create_future()

    def ring(_: asyncio.Future[Any]) -> None:
        if not bell.done():
            bell.set_result(None)

    for future in futures:
        future.add_done_callback(ring)
    try:
        if not any(future.done() for future in futures):
            await bell
    finally:
        for future in futures:
            future.remove_done_callback(ring)
    return next(index for index, future in enumerate(futures) if future.done())


async def ended(*futures: asyncio.Future[Any]) -> None:
    """Cancels and waits until each has ended, whatever it ended with."""
    # A coroutine that is closed because nobody holds it any more may not wait; its futures are dropped with it.
    if sys.exc_info()[0] is GeneratorExit:
        return
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
