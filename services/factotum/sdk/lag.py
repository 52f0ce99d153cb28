"""Asking a system whose reads lag behind its writes: what is not found yet may be there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from factotum.sdk.context import ToolContext

T = TypeVar("T")

# Between two questions.
INTERVAL_SECONDS = 5.0


async def found_in_time(
    ask: Callable[[], Awaitable[T | None]], context: ToolContext[Any], *, seconds: float, doubt: str
) -> T | None:
    """What `ask` finds; None where it still finds nothing `seconds` after it was asked first.

    For reconcilers. The time is counted from the first question, which is asked after the attempt in doubt has
    ended, so that it holds however often the effect was tried. The tool's `timeout_seconds` must be more than
    `seconds`.

    Args:
        doubt: a sentence, told as progress while it is not known.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        if (found := await ask()) is not None:
            return found
        waited = loop.time() - begun
        if waited >= seconds:
            return None
        context.report(doubt, waited / seconds)
        await asyncio.sleep(min(INTERVAL_SECONDS, seconds - waited))
