"""A run that goes on in another execution gives what it would have given in one, and does nothing twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.procedures.parse import parse_raw
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem, of_tool_error
from factotum.workflows.step import Step
from tests.support.documents import COSTLY, documents
from tests.support.effects import InMemoryEffects

Json = Any
# Turns of the loop in which whatever can go on in memory has gone on.
TURNS = 30
TURNS_A_SECOND = 20


class Moving(InMemoryEffects):
    """Wants the run to move, at random moments once something was done: else it would lead nowhere."""

    def __init__(self, dice: random.Random, chance: float, **answers: Any) -> None:
        super().__init__(**answers)
        self._dice, self._chance = dice, chance

    def should_move(self) -> bool:
        return bool(self.steps) and self._dice.random() < self._chance

    async def call(self, step: Step) -> Json:
        answer = await super().call(step)
        await self._elsewhere()
        return answer

    async def sleep(self, seconds: float) -> None:
        """By turns of the loop and no clock: the same however busy the machine is."""
        until = self.now() + timedelta(seconds=seconds)
        for _ in range(1 + int(min(seconds, 60) * TURNS_A_SECOND)):
            await asyncio.sleep(0)
        self._now = max(self._now, until)

    async def evaluate(self, program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
        await self._elsewhere()
        assert COSTLY in program
        return {"a": 12}

    async def _elsewhere(self) -> None:
        """Other branches go on meanwhile."""
        for _ in range(self._dice.randrange(4)):
            await asyncio.sleep(0)


class Tools:
    """Answers that depend on the step alone, and on how often it was tried."""

    def __init__(self) -> None:
        self.tried = Counter[str]()

    def effects(self, dice: random.Random, chance: float) -> InMemoryEffects:
        return Moving(dice, chance, test__echo=self.echo, test__flaky=self.flaky, test__refuse=self.refuse)

    def echo(self, step: Step) -> Json:
        self.tried[f"{step.pointer}|{step.iteration}"] += 1
        return {"n": len(step.pointer) + len(step.iteration), "given": step.arguments.get("given")}

    def flaky(self, step: Step) -> Json:
        answer = self.echo(step)
        if self.tried[f"{step.pointer}|{step.iteration}"] < 2:
            raise of_tool_error("unavailable", "not now")
        return answer

    def refuse(self, step: Step) -> Json:
        self.echo(step)
        raise of_tool_error("conflict", "never")


async def at_a_halt(interpreter: Interpreter) -> bool:
    """The gate may open again while the branches come to rest: then the run goes on, to move later."""
    if not interpreter.gate.quiet:
        return False
    for _ in range(TURNS):
        await asyncio.sleep(0)
    return interpreter.gate.quiet


async def carry_out(raw: Json, given: Json, chance: float, seed: int) -> tuple[Json, Tools, int]:
    """(how it ended and what would be undone, what the tools saw, how often it moved)."""
    tools, dice, moves, saved = Tools(), random.Random(seed), 0, None
    document = parse_raw(raw).document
    while True:
        effects = tools.effects(dice, chance)
        interpreter = Interpreter(document, effects, descriptor={"id": "run"}, raw=raw, saved=saved)
        work = asyncio.ensure_future(interpreter.run(given))
        while not work.done() and not await at_a_halt(interpreter):
            await asyncio.sleep(0)
        if not work.done():
            moves += 1
            saved = json.loads(json.dumps(interpreter.as_json()))
            interpreter.abort()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            continue
        undo = [[done.tool, done.arguments, done.step.pointer] for done in interpreter.journal.backwards()]
        try:
            return {"output": work.result(), "undo": sorted(map(str, undo))}, tools, moves
        except Problem as error:
            return {"problem": error.as_json(), "undo": sorted(map(str, undo))}, tools, moves


@settings(max_examples=60, deadline=None)
@given(documents(), st.integers(0, 10_000))
def test_a_run_that_moves_ends_as_one_that_does_not(raw: Json, seed: int) -> None:
    given_ = {"a": 1, "b": 2}
    still, seen, _ = asyncio.run(carry_out(raw, given_, 0.0, seed))
    moved, seen_moving, _ = asyncio.run(carry_out(raw, given_, 0.3, seed))
    assert moved == still
    assert seen_moving.tried == seen.tried


def test_the_property_is_about_runs_that_move() -> None:
    raw = {
        "document": {"dsl": "1.0.3", "namespace": "test", "name": "t", "version": "1.0.0"},
        "do": [{"loop": {"for": {"in": "[1, 2, 3, 4, 5]"}, "do": [{"call": {"call": "test.echo"}}]}}],
    }
    _, tools, moves = asyncio.run(carry_out(raw, {}, 1.0, 0))
    assert moves >= 4
    assert set(tools.tried.values()) == {1}
