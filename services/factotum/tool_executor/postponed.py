"""Observations that belong to no effect are written together, a moment after their calls were answered."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

import structlog

from factotum.tool_executor.errors import LedgerUnavailable
from factotum.tool_executor.ledger import Ledger, Publication

log = structlog.get_logger(__name__)

# Seconds that an observation waits for others; and between tries while the ledger is away.
MOMENT_SECONDS, BACK_OFF_SECONDS = 0.2, 1.0
# So many are written in one transaction, and so many may wait.
BATCH, MOST_WAITING = 256, 2000


class Postponed:
    """Takes observations, and writes them within a moment. Use as an async context manager: leaving writes what is
    left. A process that is killed loses those of its last moment: of reads, and of calls that were refused."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[Publication] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait({self._writing})
        try:
            await self.flush()
        except LedgerUnavailable as unavailable:
            log.error("observations are lost", observations=len(self._waiting), reason=str(unavailable))

    async def add(self, publication: Publication) -> None:
        """Returns at once, unless too many wait: then when they are written. Raises `LedgerUnavailable` only then."""
        self._waiting.append(publication)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        if len(self._waiting) > MOST_WAITING:
            await self.flush()

    async def flush(self) -> None:
        """Returns when all are written that were there. Raises `LedgerUnavailable`; nothing is lost by that."""
        left = len(self._waiting)
        while left > 0 and self._waiting:
            # Those that come meanwhile wait for others: each commit costs as much as many of them.
            batch = [self._waiting.popleft() for _ in range(min(left, len(self._waiting), BATCH))]
            left -= len(batch)
            try:
                await self._ledger.publish_later(batch)
            except BaseException:  # a cancel too; what is written twice has the same id
                self._waiting.extendleft(reversed(batch))
                raise

    async def _write(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(MOMENT_SECONDS)
                try:
                    await self.flush()
                except LedgerUnavailable as error:
                    log.warning("observations wait for the ledger", reason=str(error))
                    await asyncio.sleep(BACK_OFF_SECONDS)
        finally:
            self._writing = None
