"""The world of a simulated run: nothing in it is real but the interpreter."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from factotum.bounded.evaluator import BoundedEvaluator
from factotum.procedures.check import Catalog
from factotum.sdk.spec import Effect
from factotum.simulation.answers import Answer, Answers, ToolFault
from factotum.simulation.examples import NoExample
from factotum.simulation.record import Effected, Node, Record
from factotum.simulation.virtual_time import VirtualTime
from factotum.workflows import problem
from factotum.workflows.approvals import REQUESTED_TYPE
from factotum.workflows.contract import Limits
from factotum.workflows.problem import Problem, of_tool_error
from factotum.workflows.step import Step
from factotum.workflows.world import (
    FIRST_INTERVAL,
    LONGEST_INTERVAL,
    MAX_DEPTH,
    SHOWN_TO_TRY,
    Child,
    ChildResult,
)

Json = Any

COMPENSATION_SECONDS = Limits().compensation_seconds
# What is answered in the same way for ever is shown so often; then the call only waits.
ATTEMPTS_SHOWN = 3
EMIT = "emit"


class TooLong(BaseException):
    """More happened than a simulation may take. Not an error: no `catch` sees it."""


@dataclass(slots=True)
class World:
    """What the run and the runs nested in it share.

    Attributes:
        nested: carries a nested run out and gives its result.
        calls: how many more calls there may be.
        costly: whether costly expressions are evaluated at all.
        evaluating: how many expressions are evaluated in a process at the moment.
        open: whether an answer was one of any, so that what follows says nothing of real ones.
    """

    time: VirtualTime
    record: Record
    answers: Answers
    catalog: Catalog
    dice: Random
    evaluator: BoundedEvaluator
    nested: Callable[[Child, str, int], Awaitable[ChildResult]]
    calls: int
    costly: bool = True
    evaluating: int = 0
    open: bool = False
    emitted: list[dict[str, Json]] = field(default_factory=list)
    attempts: Counter[tuple[str, ...]] = field(default_factory=Counter)


class SimulatedEffects:
    """`world.Effects` of one run.

    Args:
        depth: how many runs it is nested in.
    """

    def __init__(self, world: World, run_id: str, depth: int = 0) -> None:
        self._world = world
        self._run_id = run_id
        self._depth = depth

    async def call(self, step: Step) -> Json:
        world = self._world
        node = world.record.of_step(self._run_id, step)
        if step.settle:
            world.record.mark(world.record.undoing, "settled", step=step.pointer, tool=step.tool)
            raise of_tool_error("not_done", "the effect did not happen").at(step.pointer)
        around = [above.pointer for above in node.path]
        began, tries = world.time.elapsed, 0
        while True:
            tries += 1
            answer = self._answer(step, around)
            if answer.seconds:
                await world.time.sleep(answer.seconds)
            self._note(step, node, tries, answer)
            fault = answer.fault
            if fault is None:
                world.open = world.open or answer.open
                return answer.output
            if not fault.retryable or (not step.patient and fault.kind in SHOWN_TO_TRY):
                raise _problem(fault).at(step.pointer)
            left = COMPENSATION_SECONDS - (world.time.elapsed - began) if step.compensation else None
            await self._between(step, node, fault, tries, left, lasting=answer.lasting)
            if left is not None and world.time.elapsed - began >= COMPENSATION_SECONDS:
                raise _problem(fault).at(step.pointer)

    async def _between(
        self, step: Step, node: Node, fault: ToolFault, tries: int, left: float | None, *, lasting: bool
    ) -> None:
        """Waits until the next attempt: for ever where that would be answered as the last one was."""
        world = self._world
        if lasting and tries >= ATTEMPTS_SHOWN:
            world.record.mark(
                _where(world, step, node), "waits", step=step.pointer, until=_mended(fault), tool=step.tool
            )
            if left is None:
                await asyncio.get_running_loop().create_future()
            await world.time.sleep(left or 0.0)
            return
        delay = min(FIRST_INTERVAL * 2 ** (tries - 1), LONGEST_INTERVAL)
        await world.time.sleep(delay if left is None else min(delay, left))

    def _answer(self, step: Step, around: list[str]) -> Answer:
        world = self._world
        world.calls -= 1
        if world.calls < 0:
            raise TooLong
        # A `try` that is tried again tries the same effect again.
        key = (*step.identity, step.tool, "undo" if step.compensation else "")
        world.attempts[key] += 1
        try:
            return world.answers.to(step, around, world.attempts[key])
        except NoExample as error:
            detail = f"{error}: give one with observations"
            raise Problem(problem.CONFIGURATION, 400, "no answer", detail, step.pointer) from error

    def _note(self, step: Step, node: Node, tries: int, answer: Answer) -> None:
        world = self._world
        spec = world.catalog.get(step.tool)
        effect = spec.effect.value if spec is not None else Effect.EXECUTE.value
        error = None if answer.fault is None else answer.fault.model_dump(exclude_none=True)
        world.record.effects.append(
            Effected(
                at=world.time.elapsed,
                run=step.run_id or self._run_id,
                step=step.pointer,
                iteration=step.iteration,
                tool=step.tool,
                effect=effect,
                arguments=step.arguments,
                compensation=step.compensation,
                error=error,
            )
        )
        world.record.mark(
            _where(world, step, node),
            "call",
            step=step.pointer,
            iteration=step.iteration,
            tool=step.tool,
            effect=effect,
            arguments=step.arguments,
            attempt=tries,
            output=answer.output,
            error=error,
        )

    async def sleep(self, seconds: float) -> None:
        await self._world.time.sleep(seconds)

    async def rest(self) -> None:
        await asyncio.sleep(0)

    def now(self) -> datetime:
        return self._world.time.now()

    def random(self) -> float:
        return self._world.dice.random()

    async def evaluate(self, program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
        if not self._world.costly:
            raise TooLong
        self._world.evaluating += 1
        try:
            return await self._world.evaluator.evaluate(program, value, arguments)
        finally:
            self._world.evaluating -= 1

    async def emit(self, event: dict[str, Json], summary: str) -> None:
        world = self._world
        data = event.get("data")
        if event.get("type") == REQUESTED_TYPE and isinstance(data, dict):
            node = world.record.latest(self._run_id, str(data.get("step"))) or world.record.root
            world.record.mark(node, "asked", by=data.get("by"), count=data.get("count"), until=data.get("until"))
            return
        world.emitted.append(event)
        world.record.effects.append(
            Effected(world.time.elapsed, self._run_id, "", "", "", EMIT, event, compensation=False)
        )

    async def run_child(self, child: Child) -> ChildResult:
        if self._depth >= MAX_DEPTH:
            detail = f"procedures run each other more than {MAX_DEPTH} deep"
            raise Problem(problem.RUNTIME, 500, "nested too deep", detail, child.pointer)
        short = hashlib.sha256(f"{child.pointer}|{child.iteration}".encode()).hexdigest()[:12]
        return await self._world.nested(child, f"{self._run_id}.{short}", self._depth + 1)

    def should_move(self) -> bool:
        return False


def key_of(run_id: str, step: Step) -> str:
    """The idempotency key that the step would have."""
    return f"{step.run_id or run_id}:{step.pointer}:{step.iteration}"


def _where(world: World, step: Step, node: Node) -> Node:
    return world.record.undoing if step.compensation else node


def _problem(fault: ToolFault) -> Problem:
    return of_tool_error(fault.kind, fault.message, effect_possible=fault.effect_possible, status=fault.status)


def _mended(fault: ToolFault) -> str:
    if fault.kind == "ambiguous":
        return "a person says whether the effect happened"
    return f"it is no longer answered with {fault.kind}"
