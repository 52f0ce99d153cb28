"""Carries out a document, task by task. Knows neither Temporal nor any service.

Source of the rules: DSL 1.0.3, "Data Flow" and "Task Flow". Everything that touches the world goes
through `world.Effects`. Here stands what is the same for every task; what each kind does is in the
modules named in `HANDLERS`.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from factotum.procedures import expressions
from factotum.procedures.model import Document
from factotum.procedures.tasks import (
    CallTask,
    DoTask,
    EmitTask,
    ForkTask,
    ForTask,
    ListenTask,
    NamedTask,
    RaiseTask,
    RunTask,
    SetTask,
    SwitchTask,
    Task,
    Tasks,
    TryTask,
    WaitTask,
)
from factotum.workflows import calling, extending, flow, listening, problem, running, shaping
from factotum.workflows.compensation import Done, Doubt
from factotum.workflows.contract import Decision
from factotum.workflows.ending import End
from factotum.workflows.machine import Machine
from factotum.workflows.place import Place
from factotum.workflows.problem import Problem
from factotum.workflows.progress import Frame, closed, opened
from factotum.workflows.scope import Aborted, Scope
from factotum.workflows.world import Effects

Json = Any
Handler = Callable[["Interpreter", Any, Place], Awaitable[Json]]

# How often one task of a list may be reached again by `then` with no effect and no wait between before the
# run faults: such a loop would otherwise hold its worker for ever.
MAX_ROUNDS = 1000
HANDLERS: dict[type[Task], Handler] = {
    CallTask: calling.call,
    DoTask: flow.do,
    EmitTask: calling.emit,
    ForTask: flow.for_each,
    ForkTask: flow.fork,
    ListenTask: listening.listen,
    RaiseTask: flow.raise_,
    RunTask: running.run,
    SetTask: flow.set_,
    TryTask: flow.try_,
    WaitTask: flow.wait,
}


class Interpreter(Machine):
    """One run of one document.

    Args:
        functions: what cataloged calls stand for, as tasks in JSON.
        given: the other arguments of `Machine`.
    """

    def __init__(
        self,
        document: Document,
        effects: Effects,
        *,
        functions: Mapping[str, dict[str, Json]] | None = None,
        saved: dict[str, Json] | None = None,
        **given: Any,
    ) -> None:
        called = calling.functions_of(document, functions or {})
        super().__init__(document, effects, functions=called, saved=saved, **given)
        self.background = running.Background((saved or {}).get("background"))

    # -- what the outside may ask of a run ---------------------------------------------------------------

    def abort(self) -> None:
        """No further step begins; `run` raises `Aborted` at its next one."""
        self._abort.set()

    def offer(self, event: dict[str, Json]) -> None:
        """An event has come. The same one again changes nothing."""
        self.inbox.offer(event)

    def decide(self, decision: Decision) -> bool:
        """A person has decided on a call; whether that settles it. Raises `approvals.NotDecidable`."""
        return self.approvals.decide(decision)

    def as_json(self) -> dict[str, Json]:
        """Where the run stands; to be asked for only while `gate.quiet`, when every coroutine has come to a halt."""
        return {
            "nonce": self.secrets.nonce,
            "context": self.context,
            "journal": self.journal.as_json(),
            "inbox": self.inbox.as_json(),
            "approvals": self.approvals.as_json(),
            "frame": self.frame,
            "background": self.background.as_json(),
            "nested": self.nested,
        }

    async def run(self, raw: Json) -> Json:
        """The run's output. Raises `Problem`, or `Aborted` after `abort()`."""
        try:
            return await self._run(raw)
        except (Problem, Aborted, asyncio.CancelledError):
            await self.background.stop()
            raise
        except RecursionError as error:
            raise Problem(problem.RUNTIME, 500, "nested too deep", "tasks or functions nest too deep") from error
        except Exception as error:
            # A fault of the interpreter. Temporal would try it again until it is mended, and the run would
            # neither end nor be undone; who waits for it is better served by a failure that says so.
            # Its own words may hold data, so the place stands for them.
            place = traceback.extract_tb(error.__traceback__)[-1]
            file = place.filename.rpartition("/")[2]
            detail = f"{type(error).__name__} at {file}:{place.lineno}: a fault of Factotum's own, please report it"
            raise Problem(problem.RUNTIME, 500, "internal error", detail, "/do") from error

    async def _run(self, raw: Json) -> Json:
        frame = self.frame
        if "input" not in frame:
            await self.validate(self.document.input, raw, "/input/schema")
            value = await self.shape(self.document.input.from_, raw, self.constants, "/input/from")
            # The specification gives the transformed input as the initial `$context` of a run.
            self.context = frame["input"] = value
        value = frame["input"]
        scope = Scope(abort=self._abort, frame=frame)
        self.background.resume(self)
        if self.document.timeout is None:
            value = await self._everything(value, scope)
        else:
            seconds = await self.timeout_seconds(self.document.timeout, value, self.constants, "/timeout")
            value = await self.within(lambda below: self._everything(value, below), seconds, frame, "/", scope)
        arguments = {**self.constants, "context": self.context}
        output = await self.shape(self.document.output.as_, value, arguments, "/output/as")
        await self.validate(self.document.output, output, "/output/schema")
        return output

    async def _everything(self, value: Json, scope: Scope) -> Json:
        try:
            output = await self.tasks(self.document.do, "/do", value, scope)
        except End as end:
            output = end.output
        await self.background.ended()
        return output

    async def settle(self, doubt: Doubt) -> None:
        """Finds out what became of a doubtful effect: if it happened, it is in the journal afterwards.

        Raises `Problem` if that cannot be found out.
        """
        await calling.settle(self, doubt)

    async def undo(self, done: Done) -> None:
        """Carries out one compensation. Raises `Problem`."""
        await calling.undo(self, done)

    # -- lists and tasks ---------------------------------------------------------------------------------

    async def tasks(self, tasks: Tasks, pointer: str, value: Json, scope: Scope) -> Json:
        """The output of the last task of a list."""
        output, _ = await self.tasks_and_exit(tasks, pointer, value, scope)
        return output

    async def tasks_and_exit(self, tasks: Tasks, pointer: str, value: Json, scope: Scope) -> tuple[Json, bool]:
        """(the output of the last task, whether the list was left by `exit`)."""
        positions = {named.name: index for index, named in enumerate(tasks)}
        frame = opened(scope.frame, pointer, scope.iteration)
        if not frame:
            frame.update(index=0, value=value, rounds={})
        around, scope = scope.frame, replace(scope, frame=frame)
        rounds = Counter[str](frame["rounds"])
        left = False
        while (index := frame["index"]) < len(tasks) and not left:
            named = tasks[index]
            where = f"{pointer}/{index}/{expressions.escape(named.name)}"
            if frame.get("entered") != index:
                rounds[named.name] += 1
                frame["rounds"][named.name] = rounds[named.name]
                frame["entered"] = index
                idle = frame.setdefault("idle", {})
                made, count = idle.get(named.name, (-1, 0))
                idle[named.name] = (self.made, count + 1 if made == self.made else 0)
            if frame.get("idle", {}).get(named.name, (0, 0))[1] > MAX_ROUNDS:
                detail = f"reached {MAX_ROUNDS} times with nothing done between"
                raise Problem(problem.RUNTIME, 500, "endless loop", detail, where)
            # Reached again by `then`, a task means a new effect; retried by a `try`, the same one.
            here = scope if rounds[named.name] == 1 else scope.round(f"r{rounds[named.name]}")
            value, then = await self.task(where, named, frame["value"], here)
            if then == "end":
                raise End(value)
            left = then == "exit"
            frame.update(index=index + 1 if then in ("continue", "exit") else positions[then], value=value, entered=-1)
        value = frame["value"]
        closed(around, pointer, scope.iteration)
        return value, left

    async def task(self, pointer: str, named: NamedTask, raw: Json, scope: Scope) -> tuple[Json, str]:
        """(transformed output, flow directive)."""
        await self.rest(scope)
        frame = opened(scope.frame, pointer, scope.iteration)
        try:
            return await self._task(pointer, named, raw, scope, frame)
        except expressions.ExpressionError as error:
            closed(scope.frame, pointer, scope.iteration)
            fault = Problem(problem.EXPRESSION, 400, "expression", str(error), pointer)
            self.tell(pointer, scope, named.task.kind, "faulted", fault.as_json())
            raise fault from error
        except Problem as error:
            closed(scope.frame, pointer, scope.iteration)
            self.tell(pointer, scope, named.task.kind, "faulted", error.at(pointer).as_json())
            raise
        except (Aborted, asyncio.CancelledError):
            self.tell(pointer, scope, named.task.kind, "ended")
            raise

    async def _task(self, pointer: str, named: NamedTask, raw: Json, scope: Scope, frame: Frame) -> tuple[Json, str]:
        task = named.task
        if "at" not in frame:
            frame["at"] = self.effects.now().timestamp()
        descriptor = {
            "name": named.name,
            "reference": pointer,
            "definition": shaping.definition(self.raw, pointer),
            "input": raw,
            "startedAt": shaping.moment(frame["at"]),
        }
        # An extension's tasks are told of the task that it extends: their scope binds `task`.
        arguments = {**self.constants, "task": descriptor, **scope.variables, "context": self.context}
        if "input" not in frame:
            if task.if_ is not None and not expressions.truthy(
                await self.shape(task.if_, raw, arguments, f"{pointer}/if")
            ):
                closed(scope.frame, pointer, scope.iteration)
                self.tell(pointer, scope, task.kind, "skipped", raw)
                return raw, "continue"
            await self.validate(task.input, raw, f"{pointer}/input/schema")
            frame["input"] = await self.shape(task.input.from_, raw, arguments, f"{pointer}/input/from")
            self.tell(pointer, scope, task.kind, "started", frame["input"])
        arguments["input"] = frame["input"]
        place = Place(pointer, frame["input"], arguments, replace(scope, frame=frame), frame)
        if "produced" not in frame:
            produced, then = await self._produce(task, place)
            frame["produced"], frame["then"] = produced, then
        # A snapshot may be taken while an expression below is evaluated elsewhere: what was produced is kept.
        arguments["context"] = self.context
        # A new object: what was produced may hold the descriptor.
        arguments["task"] = {**descriptor, "output": frame["produced"]}
        output = await self.shape(task.output.as_, frame["produced"], arguments, f"{pointer}/output/as")
        arguments["output"] = output
        await self.validate(task.output, output, f"{pointer}/output/schema")
        if task.export.as_ is not None:
            exported = await self.shape(task.export.as_, output, arguments, f"{pointer}/export/as")
            await self.validate(task.export, exported, f"{pointer}/export/schema")
            self.context = exported
        closed(scope.frame, pointer, scope.iteration)
        self.tell(pointer, scope, task.kind, "completed", output, frame["then"] if task.kind == "switch" else "")
        return output, frame["then"]

    async def _produce(self, task: Task, place: Place) -> tuple[Json, str]:
        """(raw output, flow directive), with what extensions put before and after, within the task's time."""
        if self.document.use.extensions and not place.scope.extending:
            replaced = await extending.before(self, task, place)
            if replaced is not None:
                return replaced[0], task.then
        if task.timeout is None:
            produced, then = await self._carry_out(task, place)
        else:
            pointer = f"{place.pointer}/timeout"
            seconds = await self.timeout_seconds(task.timeout, place.value, place.arguments, pointer)
            produced, then = await self.within(
                lambda below: self._carry_out(task, replace(place, scope=below)),
                seconds,
                place.frame,
                place.pointer,
                place.scope,
            )
        if self.document.use.extensions and not place.scope.extending:
            await extending.after(self, task, place)
        return produced, then

    async def _carry_out(self, task: Task, place: Place) -> tuple[Json, str]:
        if isinstance(task, SwitchTask):
            return place.value, await flow.switch(self, task, place)
        return await HANDLERS[type(task)](self, task, place), task.then
