"""How long effects are remembered of which all is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from factotum.tool_executor.errors import LedgerUnavailable
from factotum.tool_executor.ledger import Ledger

log = structlog.get_logger(__name__)

# So few at once that no call waits for it; seconds between two batches, and between two looks at the ledger.
BATCH = 500
PAUSE_SECONDS, EVERY_SECONDS = 0.1, 600.0


class Retention:
    """Forgets what is done, or failed without doubt, and has not changed for so many days. What is started,
    ambiguous or in doubt is kept for ever.

    Args:
        days: 0: for ever. A run that is repeated after its effects were forgotten makes them again.
    """

    def __init__(self, ledger: Ledger, *, days: float, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._days = days
        self._now = now

    async def run(self, stop: asyncio.Event) -> None:
        """Forgets until `stop` is set."""
        while self._days and not stop.is_set():
            wait = EVERY_SECONDS
            try:
                if await self.forget() == BATCH:
                    wait = PAUSE_SECONDS
            except LedgerUnavailable as error:
                log.warning("effects are kept longer", reason=str(error))
            try:
                async with asyncio.timeout(wait):
                    await stop.wait()
            except TimeoutError:
                continue
        await stop.wait()

    async def forget(self) -> int:
        """One batch; how many. Raises `LedgerUnavailable`."""
        if not self._days:
            return 0
        forgotten = await self._ledger.forget(self._now() - timedelta(days=self._days), limit=BATCH)
        if forgotten:
            log.info("effects were forgotten", effects=forgotten, days=self._days)
        return forgotten
