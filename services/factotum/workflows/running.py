"""The task `run`: processes, which are tools, and other documents, which are runs nested in this one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from factotum.procedures.metadata import Compensate
from factotum.procedures.protocols import tool_of
from factotum.procedures.tasks import RunTask, RunWorkflow
from factotum.workflows import problem
from factotum.workflows.calling import agreed_step, attempt, call_tool, note, surroundings
from factotum.workflows.endpoints import prepared
from factotum.workflows.place import Place
from factotum.workflows.problem import Problem
from factotum.workflows.racing import ended
from factotum.workflows.scope import Scope
from factotum.workflows.step import Step
from factotum.workflows.world import Child

if TYPE_CHECKING:
    from factotum.workflows.interpreter import Interpreter

Json = Any

_STEP = TypeAdapter(Step)


async def run(machine: Interpreter, task: RunTask, place: Place) -> Json:
    """What `return` asks for; where nobody waits, the task's input."""
    process = task.run
    if process.workflow is not None:
        return await _nested(machine, task, process.workflow, place)
    tool = tool_of(task)
    given = process.container or process.script or process.shell
    if tool is None or given is None:
        raise Problem(problem.RUNTIME, 500, "unknown task", "a process of no known kind", place.pointer)
    (kind,) = (name for name in ("container", "script", "shell") if getattr(process, name) is not None)
    given = prepared(given, place.value, machine.document.use.authentications, place.pointer)
    arguments = await machine.resolve(given, place.value, place.arguments, f"{place.pointer}/run/{kind}")
    arguments = {**arguments, "return": process.return_ if process.await_ else "none"}
    if process.await_:
        return await call_tool(machine, task, place, tool, arguments)
    if "called" not in place.frame:
        step = await agreed_step(machine, task, place, tool, arguments)
        machine.background.start(machine, step, task, place.arguments)
        place.frame["called"] = True
    return place.value


async def _nested(machine: Interpreter, task: RunTask, wanted: RunWorkflow, place: Place) -> Json:
    document = machine.documents.get(wanted.reference)
    if document is None:
        detail = f"there is no procedure {wanted.reference}"
        raise Problem(problem.CONFIGURATION, 400, "configuration", detail, f"{place.pointer}/run/workflow")
    if "called" not in place.frame:
        where = f"{place.pointer}/run/workflow/input"
        given = await machine.resolve(wanted.input, place.value, place.arguments, where)
        place.frame["called"] = await _run_nested(machine, task, wanted, document, given, place)
    if not task.run.await_:
        return place.value
    output = place.frame["called"]
    step = Step(place.pointer, place.iteration, wanted.reference, {}, task.summary, patient=True)
    await note(machine, step, task.compensate, output, place.arguments)
    return output


async def _run_nested(
    machine: Interpreter,
    task: RunTask,
    wanted: RunWorkflow,
    document: dict[str, Json],
    given: Json,
    place: Place,
) -> Json:
    """The nested run's output. A `try` that is made again has what an earlier attempt's run gave; one that failed
    has undone what it did, so another takes its place."""
    known = machine.nested.setdefault(f"{place.pointer}|{place.iteration}", {"failed": 0})
    if "output" in known:
        return known["output"]
    step = await agreed_step(machine, task, place, wanted.reference, {"input": given})
    child = Child(
        pointer=place.pointer,
        iteration=place.iteration,
        reference=wanted.reference,
        document=document,
        input=given,
        summary=step.summary,
        wait=task.run.await_,
        attempt=known["failed"],
    )
    async with machine.effect():
        try:
            result = await machine.effects.run_child(child)
        except Problem:
            known["failed"] += 1
            raise
    machine.journal.adopt(result.run_id, result.done, result.doubts)
    known["output"] = result.output
    return result.output


class Background:
    """Processes that nobody waits for. The run ends when they have ended; how they ended changes nothing in it.

    Where the run fails or is cancelled they are ended with it, and undone as what was waited for.
    """

    def __init__(self, saved: list[dict[str, Json]] | None = None) -> None:
        self._waiting = saved or []
        self._begun: dict[int, dict[str, Json]] = {}
        self._work: list[asyncio.Future[None]] = []

    def start(self, machine: Interpreter, step: Step, task: RunTask, arguments: dict[str, Json]) -> None:
        compensate = task.compensate
        self._start(
            machine,
            {
                "step": _STEP.dump_python(step, mode="json"),
                "compensate": None if compensate is None else compensate.model_dump(by_alias=True),
                "arguments": {} if compensate is None else surroundings(machine, compensate, arguments),
            },
        )

    def _start(self, machine: Interpreter, entry: dict[str, Json]) -> None:
        number = len(self._work)
        self._begun[number] = entry
        self._work.append(asyncio.ensure_future(self._carry_out(machine, number, entry)))

    def resume(self, machine: Interpreter) -> None:
        """Goes on with those that an earlier execution had begun."""
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            self._start(machine, entry)

    async def ended(self) -> None:
        if self._work:
            await asyncio.gather(*self._work)

    async def stop(self) -> None:
        """Ends those under way, and waits until they have ended."""
        if self._work:
            await ended(*self._work)

    async def _carry_out(self, machine: Interpreter, number: int, entry: dict[str, Json]) -> None:
        step = _STEP.validate_python(entry["step"])
        compensate = None if entry["compensate"] is None else Compensate.model_validate(entry["compensate"])
        nowhere = Place(step.pointer, None, entry["arguments"], Scope(), {})
        try:
            output = await attempt(machine, step, compensate, nowhere)
            await note(machine, step, compensate, output, entry["arguments"])
        except Problem as error:
            machine.tell(step.pointer, nowhere.scope, "run", "faulted", error.at(step.pointer).as_json())
        del self._begun[number]

    def as_json(self) -> list[dict[str, Json]]:
        return list(self._begun.values())
