"""A document run in memory, from its first task to the undoing of what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any, Literal

from factotum.bounded.evaluator import BoundedEvaluator
from factotum.procedures.check import Catalog
from factotum.procedures.model import Document
from factotum.procedures.parse import parse_raw
from factotum.simulation import virtual_time
from factotum.simulation.answers import Answers, Injected, Observation
from factotum.simulation.coverage import Coverage, Watch, ways
from factotum.simulation.effects import SimulatedEffects, TooLong, World, key_of
from factotum.simulation.examples import Examples, Style
from factotum.simulation.people import People
from factotum.simulation.record import Node, Record
from factotum.simulation.virtual_time import VirtualTime
from factotum.workflows.contract import Ending
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem
from factotum.workflows.scope import Aborted
from factotum.workflows.shaping import moment
from factotum.workflows.undoing import undo_something
from factotum.workflows.world import Child, ChildResult, TaskEvent

Json = Any
Status = Literal["completed", "failed", "waiting", "too long"]

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
RUN_ID = "simulation"
MOST_CALLS = 20_000
MOST_TASKS = 200_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that comes so many seconds after the start of the run."""

    after: float
    event: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated, and what it meets.

    Attributes:
        raw: the document in JSON.
        documents, functions: as in `RunInput`.
        open: the input is only one of any, so that how the run goes says nothing of real ones.
        costly: whether expressions that are not shown to be cheap are evaluated, in a process and within
            bounds; else the simulation is given up at one as `too long`.
        most_calls, most_tasks: where the simulation is given up as `too long`.
    """

    raw: Mapping[str, Json]
    input: Json
    catalog: Catalog = field(default_factory=dict)
    documents: Mapping[str, dict[str, Json]] = field(default_factory=dict)
    functions: Mapping[str, dict[str, Json]] = field(default_factory=dict)
    observations: Sequence[Observation] = ()
    faults: Sequence[Injected] = ()
    events: Sequence[Arrival] = ()
    people: People = field(default_factory=People)
    seed: int = 0
    style: Style = "full"
    start: datetime = START
    tenant: str = ""
    open: bool = False
    costly: bool = True
    most_calls: int = MOST_CALLS
    most_tasks: int = MOST_TASKS


@dataclass(slots=True)
class Simulated:
    """How it went.

    Attributes:
        status: `waiting` for a run that would not end: see `waits`.
        ending: how what was done was undone; None for a run that did not fail.
        waits: the tasks that nothing ends, with what they wait for.
        open: the input, or an answer before the end, was only one of any.
        refused: by step, the rule of a tool's schema that its last refused call broke.
        coverage: by the full name of a document, the nested ones included.
    """

    status: Status
    record: Record
    duration: float
    output: Json = None
    ending: Ending | None = None
    waits: list[tuple[Node, str]] = field(default_factory=list)
    emitted: list[dict[str, Json]] = field(default_factory=list)
    open: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)

    @property
    def error(self) -> dict[str, Json] | None:
        return None if self.ending is None else self.ending.error


def simulate(scenario: Scenario) -> Simulated:
    """Runs the scenario; the same one always goes the same way. Not to be called where an event loop is running.

    Raises `FaultyDocument` if the document, or one that it runs, cannot be parsed.
    """
    return _Simulation(scenario).run()


class _Watched(Interpreter):
    """Tells of every expression's value, by its place in the document."""

    def __init__(self, document: Document, effects: SimulatedEffects, watch: Watch, **given: Any) -> None:
        super().__init__(document, effects, **given)
        self._watch = watch

    async def shape(self, expression: Json, value: Json, arguments: Mapping[str, Json], pointer: str) -> Json:
        found = await super().shape(expression, value, arguments, pointer)
        self._watch.shaped(pointer, found)
        return found


class _Simulation:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._time = VirtualTime(scenario.start)
        self._record = Record(lambda: self._time.elapsed)
        self._coverage: dict[str, Coverage] = {}
        self._runs: list[Interpreter] = []
        self._background: list[asyncio.Task[Any]] = []
        self._tasks = 0
        self._stuck = False
        self._waits: list[tuple[Node, str]] = []
        self._open = False
        self._work: asyncio.Task[Simulated] | None = None
        dice = Random(scenario.seed)  # noqa: S311 - made to be repeated
        self._world = World(
            time=self._time,
            record=self._record,
            answers=Answers(scenario.catalog, Examples(dice, scenario.style), scenario.observations, scenario.faults),
            catalog=scenario.catalog,
            dice=dice,
            evaluator=BoundedEvaluator(),
            nested=self._nested,
            calls=scenario.most_calls,
            costly=scenario.costly,
            open=scenario.open,
        )

    def run(self) -> Simulated:
        return virtual_time.run(self._run, self._idle)

    async def _run(self) -> Simulated:
        self._work = asyncio.current_task()
        async with self._world.evaluator:
            found = await self._outermost()
            # From here on only the evaluator's processes are waited for.
            self._work = None
            return found

    async def _outermost(self) -> Simulated:
        scenario = self._scenario
        interpreter = self._interpreter(scenario.raw, scenario.input, RUN_ID, 0, None)
        for arrival in scenario.events:
            self._time.at(arrival.after, partial(self._offer, arrival.event))
        output, ending = None, None
        status: Status = "completed"
        try:
            output, ending = await self._carry_out(interpreter, scenario.input)
            await asyncio.gather(*self._background)
            status = "completed" if ending is None else "failed"
        except TooLong:
            status = "too long"
        except (asyncio.CancelledError, Aborted):
            if not self._stuck:
                raise
            status = "waiting"
        finally:
            for task in self._background:
                task.cancel()
        root = self._record.root
        if status in ("completed", "failed"):
            root.state, root.ended = "completed" if status == "completed" else "faulted", self._time.elapsed
        return Simulated(
            status,
            self._record,
            self._time.elapsed,
            output,
            ending,
            self._waits,
            self._world.emitted,
            self._open if ending is not None else self._world.open,
            self._world.answers.refused,
            self._coverage,
        )

    def _interpreter(
        self, raw: Mapping[str, Json], given: Json, run_id: str, depth: int, step: Node | None
    ) -> Interpreter:
        document = parse_raw(raw).document
        coverage = self._coverage.setdefault(document.full_name, Coverage(ways(document)))
        watch = Watch(document, coverage)
        self._record.begin_run(run_id, step)

        def observe(event: TaskEvent) -> None:
            self._tasks += 1
            if self._tasks > self._scenario.most_tasks:
                raise TooLong
            node = self._record.observe(run_id, event)
            if event.phase == "caught":
                watch.caught(event.pointer)
            elif event.phase in ("started", "completed") and (case := watch.told(node)):
                self._record.mark(node, "case", case=case, then=event.branch)

        interpreter = _Watched(
            document,
            SimulatedEffects(self._world, run_id, depth),
            watch,
            descriptor={
                "id": run_id,
                "definition": dict(raw),
                "input": given,
                "startedAt": moment(self._time.now().timestamp()),
            },
            raw=raw,
            tenant=self._scenario.tenant,
            nonce=f"{self._scenario.seed:032x}",
            documents=self._scenario.documents,
            functions=self._scenario.functions,
            observe=observe,
        )
        self._runs.append(interpreter)
        return interpreter

    async def _carry_out(self, interpreter: Interpreter, given: Json) -> tuple[Json, Ending | None]:
        """(output, how it was undone if it failed)."""
        try:
            return await interpreter.run(given), None
        except Problem as error:
            if interpreter.run_id == RUN_ID:
                self._open = self._world.open
            ending = Ending(status="failed", reason=str(error), error=error.as_json())
        return None, await self._undone(interpreter, ending)

    async def _undone(self, interpreter: Interpreter, ending: Ending) -> Ending:
        left: Ending | None = ending
        while left is not None:
            ending = left
            left = await undo_something(interpreter, ending, lambda step: key_of(interpreter.run_id, step))
        return ending

    async def _nested(self, child: Child, run_id: str, depth: int) -> ChildResult:
        parent = run_id.rpartition(".")[0]
        step = self._record.latest(parent, child.pointer)
        interpreter = self._interpreter(child.document, child.input, run_id, depth, step)
        if not child.wait:
            self._background.append(asyncio.create_task(self._carry_out(interpreter, child.input)))
            return ChildResult(run_id, None, [])
        try:
            output, ending = await self._carry_out(interpreter, child.input)
        except asyncio.CancelledError:
            if not self._stuck:
                await self._undone(interpreter, Ending(status="cancelled", reason="cancelled"))
            raise
        if ending is not None and (error := ending.error) is not None:
            raise Problem(error["type"], error["status"], error["title"], error["detail"], child.pointer)
        return ChildResult(run_id, output, list(reversed(interpreter.journal.backwards())))

    # -- what happens when nothing can go on ---------------------------------------------------------------

    def _idle(self) -> bool:
        if self._world.evaluating or self._work is None:
            return False
        if self._decided() or self._time.advance():
            return True
        if self._stuck:
            return False
        self._stuck = True
        self._waits = [(node, self._reason(node)) for node in self._record.open()]
        self._work.cancel()
        return True

    def _decided(self) -> bool:
        for interpreter in self._runs:
            for pending in interpreter.approvals.pending:
                decision = self._scenario.people.decision(pending)
                if decision is None:
                    continue
                node = self._record.latest(interpreter.run_id, pending.step) or self._record.root
                what = {"by": decision.by, "approve": decision.approve, "because": decision.because}
                self._record.mark(node, "decided", **what)
                interpreter.decide(decision)
                return True
        return False

    def _offer(self, event: dict[str, Json]) -> bool:
        for interpreter in self._runs:
            interpreter.offer(event)
        return True

    def _reason(self, node: Node) -> str:
        asked: list[str] = []
        for mark in node.inside:
            if isinstance(mark, Node):
                continue
            if mark.what == "waits":
                return f"{mark.details['tool']} is tried again until {mark.details['until']}"
            if mark.what == "asked":
                asked = mark.details["by"]
        if asked:
            return f"waits for a decision of {', '.join(asked)}"
        return "waits for an event that does not come" if node.kind == "listen" else "does not end"
