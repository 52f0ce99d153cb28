"""Whether the service is to be asked: as long as its store serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

# Seconds between two looks at the store.
EVERY = 5.0

log = structlog.get_logger(__name__)


async def watch(
    trouble: Callable[[], Awaitable[str]],
    tell: Callable[[bool], Awaitable[None]],
    *,
    ready: bool,
    every: float = EVERY,
) -> None:
    """Tells when the store stops serving, and when it serves again, for ever.

    Args:
        trouble: what keeps the store from serving; empty: nothing does.
        tell: whether it serves; told at each change.
        ready: what was told before.
    """
    while True:
        await asyncio.sleep(every)
        reason = await trouble()
        if bool(reason) is not ready:
            continue
        ready = not reason
        await tell(ready)
        if ready:
            log.info("the store serves again")
        else:
            log.error("the store does not serve", reason=reason)
