"""How long an attempt may be sure that nobody else is at its key, and what becomes of it after that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from factotum.sdk.errors import Unavailable
from factotum.tool_executor.alarms import Alarms, Deadline
from factotum.tool_executor.errors import LedgerUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Of a lease: renewed well before it ends, however late the event loop is; tried again where that failed; and
# taken for over while what is cut has time to end, and clocks may run a little apart.
RENEWAL, AGAIN, CERTAIN = 0.3, 0.1, 0.9


class Lease:
    """The right to be at a key, as far as its holder is certain of it: by the clock of the event loop, which nobody
    sets, from before the ledger was asked.

    Args:
        renew: asks the ledger; False if the lease is another's.
        seconds: how long the ledger grants it for each time.
        asked_at: when it was first asked for, by the loop's clock.
        alarms: wake it when it is time to renew.
    """

    def __init__(
        self, renew: Callable[[], Awaitable[bool]], *, seconds: float, asked_at: float, alarms: Alarms
    ) -> None:
        self._renew = renew
        self._alarms = alarms
        self._seconds = seconds
        self._asked_at = asked_at
        self._until = asked_at + seconds * CERTAIN

    @property
    def lost(self) -> bool:
        return asyncio.get_running_loop().time() >= self._until

    def check(self) -> None:
        """For just before something is done. Raises `Unavailable`, without effect."""
        if self.lost:
            raise Unavailable("this attempt is not certain any more that it is the only one", effect_possible=False)

    async def within(self, work: Awaitable[T]) -> T:
        """What the work returns or raises; the lease is renewed meanwhile. Where that cannot be done in time the
        work is cut at the next point where it waits. Raises `Unavailable` then, effect possible."""
        loop, renewal = asyncio.get_running_loop(), None

        def begin() -> None:
            nonlocal renewal
            cut.reschedule(self._until)
            renewal = loop.create_task(self._kept(cut))

        try:
            with Deadline(self._alarms) as cut:
                # Most calls have ended by then: a task for each would cost more than what it is for.
                alarm = self._alarms.set(self._asked_at + self._seconds * RENEWAL, begin)
                try:
                    return await work
                finally:
                    self._alarms.drop(alarm)
                    if renewal is not None:
                        renewal.cancel()
        except TimeoutError as error:
            if not cut.expired():
                raise
            raise Unavailable("the attempt was ended: another one may be at this call by now") from error

    async def _kept(self, cut: Deadline) -> None:
        loop = asyncio.get_running_loop()
        while not cut.expired():
            asked_at, pause = loop.time(), self._seconds * RENEWAL
            try:
                held = await self._renew()
            except LedgerUnavailable as error:
                log.warning("a lease could not be renewed", reason=str(error))
                pause = self._seconds * AGAIN
            else:
                if cut.expired():
                    return
                self._until = asked_at + self._seconds * CERTAIN if held else asked_at
                cut.reschedule(self._until)
            await asyncio.sleep(pause)
