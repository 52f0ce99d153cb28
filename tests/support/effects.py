"""The world of a run, in memory: answers from a table, waits that end at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from factotum.workflows.step import Step
from factotum.workflows.world import Child, ChildResult

Answer = Callable[[Step], Any]


class InMemoryEffects:
    """`world.Effects`. `answers` maps a tool to what it returns or raises; a coroutine is awaited.

    Waits end at once, in the order of their deadlines: the clock jumps.
    """

    def __init__(self, **answers: Answer) -> None:
        self.answers = {name.replace("__", "."): answer for name, answer in answers.items()}
        self.steps: list[Step] = []
        self.slept: list[float] = []
        self.emitted: list[dict[str, Any]] = []
        self.children: list[Child] = []
        self.child: Callable[[Child], Awaitable[ChildResult]] | None = None
        self.move = False
        self._now = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
        self._random = random.Random(0)

    async def call(self, step: Step) -> Any:
        self.steps.append(step)
        answer = self.answers.get(step.tool, lambda _: {})(step)
        return await answer if isinstance(answer, Awaitable) else answer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self._now + timedelta(seconds=seconds)
        await asyncio.sleep(0)
        # Real time in proportion, so that of two waits the shorter ends first.
        await asyncio.sleep(min(seconds, 60) / 1000)
        self._now = max(self._now, until)

    async def rest(self) -> None:
        await asyncio.sleep(0)

    def now(self) -> datetime:
        return self._now

    def random(self) -> float:
        return self._random.random()

    async def evaluate(self, program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
        raise NotImplementedError(program)

    async def emit(self, event: dict[str, Any], summary: str) -> None:
        self.emitted.append(event)

    async def run_child(self, child: Child) -> ChildResult:
        self.children.append(child)
        assert self.child is not None
        return await self.child(child)

    def should_move(self) -> bool:
        return self.move

    @property
    def called(self) -> list[tuple[str, str, str]]:
        """(tool, pointer, iteration) of every call, in order."""
        return [(step.tool, step.pointer, step.iteration) for step in self.steps]
