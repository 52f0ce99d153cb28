"""What is asked for while others are under way, in one go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

# In one go, so that none waits for long, and no statement grows without bound.
LARGEST = 128


class Together(Generic[A, R]):
    """Asks for one thing, and meanwhile gathers what comes: that is asked for next, together.

    Args:
        do: gives a result for each, in their order, or what is to be raised to the one who asked for it.
    """

    def __init__(self, do: Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]]) -> None:
        self._do = do
        self._waiting: deque[tuple[A, asyncio.Future[R]]] = deque()
        self._doing: asyncio.Task[None] | None = None

    async def __call__(self, item: A) -> R:
        """The result for it. What was not begun when its caller went is not done."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._doing is None:
            self._doing = asyncio.create_task(self._work_off())
        return await future

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST))]
                asked = [(item, future) for item, future in taken if not future.done()]
                if asked:
                    await self._answer(asked)
        finally:
            self._doing = None

    async def _answer(self, asked: Sequence[tuple[A, asyncio.Future[R]]]) -> None:
        results: Sequence[R | Exception] = ()
        try:
            results = await self._do([item for item, _ in asked])
        # Whatever it is, a fault of ours or the end of the process: nobody is to wait for ever.
        except BaseException as error:
            results = [error if isinstance(error, Exception) else RuntimeError("it was given up")] * len(asked)
            if not isinstance(error, Exception):
                raise
        finally:
            for (_, future), result in zip(asked, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
