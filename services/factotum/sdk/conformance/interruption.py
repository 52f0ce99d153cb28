"""Cutting a coroutine off at each point where it waits, one after the other: what a kill can leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Cut(StrEnum):
    """When a wait is cut: as it begins (what was sent may not have arrived yet), or as it ends (what was waited for
    has come, and is not looked at any more)."""

    BEGINNING = "as it began to wait"
    ENDING = "as its wait ended"


class Interrupted(Generic[T]):
    """Awaits a coroutine and cancels it at its `wait`-th wait, counted from 1.

    To be awaited by a task of its own. Raises `asyncio.CancelledError` if the coroutine was cut and let that through,
    and gives what it returned if it had fewer waits. `waits` is how often it waited so far.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], *, wait: int = 0, cut: Cut = Cut.ENDING) -> None:
        self.waits = 0
        self._coroutine = coroutine
        self._wait = wait
        self._cut = cut

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            pending = self._coroutine.send(None)
            while True:
                self.waits += 1
                if self.waits == self._wait and self._cut is Cut.BEGINNING and (task := asyncio.current_task()):
                    # Heard at the wait that begins now.
                    task.cancel()
                try:
                    yield pending
                    if self.waits == self._wait and self._cut is Cut.ENDING and (task := asyncio.current_task()):
                        # Heard at once, and as a cancel of the task, which is what libraries look at.
                        task.cancel()
                        yield None
                # Whatever the task is told while it waits is for the coroutine to hear.
                except BaseException as error:
                    pending = self._coroutine.throw(error)
                    continue
                pending = self._coroutine.send(None)
        except StopIteration as ended:
            returned: T = ended.value
            return returned
        finally:
            self._coroutine.close()
