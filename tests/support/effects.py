"""The world of a run, in memory: answers from a table, waits that end at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from factotum.workflows.step import Step

Answer = Callable[[Step], Any]


class InMemoryEffects:
    """`interpreter.Effects`. `answers` maps a tool to what it returns or raises; a coroutine is awaited."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = {name.replace("__", "."): answer for name, answer in answers.items()}
        self.steps: list[Step] = []
        self.slept: list[float] = []

    async def call(self, step: Step) -> Any:
        self.steps.append(step)
        answer = self.answers.get(step.tool, lambda _: {})(step)
        return await answer if isinstance(answer, Awaitable) else answer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    @property
    def called(self) -> list[tuple[str, str, str]]:
        """(tool, pointer, iteration) of every call, in order."""
        return [(step.tool, step.pointer, step.iteration) for step in self.steps]
