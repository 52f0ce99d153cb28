"""Random documents end in the simulator as they end with the interpreter on the effects of the unit tests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.bounded.evaluator import BoundedEvaluator
from factotum.procedures.check import Catalog
from factotum.procedures.checks.scopes import tasks
from factotum.procedures.parse import parse_raw
from factotum.procedures.tasks import CallTask
from factotum.simulation.answers import Injected, ToolFault
from factotum.simulation.simulation import Scenario, simulate
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem, of_tool_error
from factotum.workflows.step import Step
from tests.support.documents import COSTLY, documents
from tests.support.effects import InMemoryEffects
from tests.support.simulated import tool

Json = Any
GIVEN = {"a": 1, "b": 2}
ANSWER = {"n": 3, "given": 4}
CATALOG: Catalog = {
    name: tool(name, output={"const": ANSWER}) for name in ("test.echo", "test.flaky", "test.refuse", "test.undo")
}


class Reference(InMemoryEffects):
    """The effects of the unit tests, patient where the real run is."""

    def __init__(self) -> None:
        super().__init__(test__flaky=self._flaky, test__refuse=self._refuse, test__echo=lambda _: ANSWER)
        self._tried = Counter[str]()

    def _flaky(self, step: Step) -> Json:
        key = f"{step.pointer}|{step.iteration}"
        self._tried[key] += 1
        if self._tried[key] == 1 and not step.patient:
            raise of_tool_error("unavailable", "not now")
        return ANSWER

    def _refuse(self, step: Step) -> Json:
        raise of_tool_error("conflict", "never")

    async def evaluate(self, program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
        return evaluated(program)


def evaluated(program: str) -> Json:
    assert COSTLY in program
    return {"a": 12} if program.startswith("{") else 12


async def in_memory(raw: Json) -> tuple[Json, list[str]]:
    """(output or problem, what is undone)."""
    interpreter = Interpreter(parse_raw(raw).document, Reference(), descriptor={"id": "run"}, raw=raw)
    try:
        return await interpreter.run(GIVEN), []
    except Problem as error:
        return error.as_json(), sorted(done.step.pointer for done in interpreter.journal.backwards())


def in_the_simulator(raw: Json, seed: int) -> tuple[Json, list[str]]:
    calls = [
        (each.pointer, each.task.call) for each in tasks(parse_raw(raw).document) if isinstance(each.task, CallTask)
    ]
    flaky = ToolFault(kind="unavailable", message="not now")
    faults = [Injected(pointer, flaky, attempt=1) for pointer, call in calls if call == "test.flaky"]
    refusal = ToolFault(kind="conflict", message="never")
    faults += [Injected(pointer, refusal) for pointer, call in calls if call == "test.refuse"]
    found = simulate(Scenario(raw=raw, input=GIVEN, catalog=CATALOG, faults=faults, seed=seed))
    if found.ending is None:
        assert found.status == "completed"
        return found.output, []
    return found.error, sorted([*found.ending.compensated, *(task.step for task in found.ending.tasks)])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one costly program that these documents have is known: no process need start for it."""

    async def evaluate(self: object, program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
        await asyncio.sleep(0)
        return evaluated(program)

    monkeypatch.setattr(BoundedEvaluator, "evaluate", evaluate)


@settings(max_examples=40, deadline=None)
@given(documents(), st.integers(0, 100))
def test_a_random_document_ends_in_the_same_way(raw: Json, seed: int) -> None:
    assert in_the_simulator(raw, seed) == asyncio.run(in_memory(raw))
