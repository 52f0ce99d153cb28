"""An order among things that are otherwise done at once."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable


class Turns:
    """Lets those of one queue pass a point one after the other, in the order in which they joined."""

    def __init__(self) -> None:
        self._last: dict[Hashable, Turn] = {}

    def join(self, queue: Hashable) -> Turn:
        turn = self._last[queue] = Turn(self._last.get(queue))
        return turn


class Turn:
    """One place in a queue."""

    def __init__(self, before: Turn | None) -> None:
        self._before = before
        self._passed = asyncio.Event()

    async def comes(self) -> None:
        """Returns once everyone before has passed."""
        if self._before is not None:
            await self._before._passed.wait()
            self._before = None

    def passes(self) -> None:
        """Lets the next one come. To be called at last whatever happened, also a second time."""
        self._before = None
        self._passed.set()
