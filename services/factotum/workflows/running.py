"""The task `run`: processes, which are tools, and other documents, which are runs nested in this one."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from factotum.procedures.protocols import tool_of
from factotum.procedures.tasks import RunTask, RunWorkflow
from factotum.workflows import problem
from factotum.workflows.calling import attempt, call_tool, note
from factotum.workflows.endpoints import prepared
from factotum.workflows.place import Place
from factotum.workflows.problem import Problem
from factotum.workflows.scope import Scope
from factotum.workflows.step import Step
from factotum.workflows.world import Child

if TYPE_CHECKING:
    from factotum.workflows.interpreter import Interpreter

Json = Any


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
    machine.background.start(
        machine,
        Step(
            pointer=place.pointer,
            iteration=place.iteration,
            tool=tool,
            arguments=arguments,
            summary=task.summary,
            patient=False,
            secrets=machine.secrets if machine.secrets.names else None,
        ),
    )
    return place.value


async def _nested(machine: Interpreter, task: RunTask, wanted: RunWorkflow, place: Place) -> Json:
    document = machine.documents.get(wanted.reference)
    if document is None:
        detail = f"there is no procedure {wanted.reference}"
        raise Problem(problem.CONFIGURATION, 400, "configuration", detail, f"{place.pointer}/run/workflow")
    if "called" not in place.frame:
        where = f"{place.pointer}/run/workflow/input"
        child = Child(
            pointer=place.pointer,
            iteration=place.iteration,
            reference=wanted.reference,
            document=document,
            input=await machine.resolve(wanted.input, place.value, place.arguments, where),
            summary=str(
                await machine.resolve(task.summary, place.value, place.arguments, f"{place.pointer}/metadata/summary")
            ),
            wait=task.run.await_,
        )
        async with machine.effect():
            result = await machine.effects.run_child(child)
        machine.journal.adopt(result.run_id, result.done)
        place.frame["called"] = result.output
    if not task.run.await_:
        return place.value
    output = place.frame["called"]
    step = Step(place.pointer, place.iteration, wanted.reference, {}, task.summary, patient=True)
    await note(machine, step, task.compensate, output, place.arguments)
    return output


class Background:
    """Processes that nobody waits for. The run ends when they have ended; how they ended changes nothing in it."""

    def __init__(self, saved: list[dict[str, Json]] | None = None) -> None:
        self._waiting = [Step(**each) for each in saved or ()]
        self._steps: list[Step] = []
        self._work: list[asyncio.Future[None]] = []

    def start(self, machine: Interpreter, step: Step) -> None:
        self._steps.append(step)
        self._work.append(asyncio.ensure_future(self._carry_out(machine, step)))

    def resume(self, machine: Interpreter) -> None:
        """Goes on with those that an earlier execution had begun."""
        waiting, self._waiting = self._waiting, []
        for step in waiting:
            self.start(machine, step)

    async def ended(self) -> None:
        await asyncio.gather(*self._work)

    async def _carry_out(self, machine: Interpreter, step: Step) -> None:
        nowhere = Place(step.pointer, None, {}, Scope(), {})
        try:
            await attempt(machine, step, None, nowhere)
        except Problem as error:
            machine.tell(step.pointer, nowhere.scope, "run", "faulted", error.at(step.pointer).as_json())
        self._steps.remove(step)

    def as_json(self) -> list[dict[str, Json]]:
        return [asdict(step) for step in self._steps]
