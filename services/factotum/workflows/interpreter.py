"""Carries out a document, task by task. Knows neither Temporal nor any service.

Source of the rules: DSL 1.0.3, "Data Flow" and "Task Flow". Everything that touches the world goes
through `Effects`, of which there is one for Temporal and one in memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from jsonschema import Draft202012Validator

from factotum.procedures import expressions, schemas
from factotum.procedures.model import Document
from factotum.procedures.shapes import Input, Output
from factotum.procedures.tasks import (
    CallTask,
    DoTask,
    ForkTask,
    ForTask,
    NamedTask,
    RaiseTask,
    SetTask,
    SwitchTask,
    Task,
    Tasks,
    TryTask,
    WaitTask,
)
from factotum.workflows import problem
from factotum.workflows.catching import catches, retry_delay
from factotum.workflows.compensation import Done, Doubt, Journal
from factotum.workflows.problem import Problem
from factotum.workflows.scope import Abort, Aborted, Scope
from factotum.workflows.step import Step

Json = Any

# How often one task of a list may be reached again by `then` before the run faults: a loop that calls
# nothing would otherwise hold its worker for ever.
MAX_ROUNDS = 1000


class Effects(Protocol):
    """The world as a run may touch it."""

    async def call(self, step: Step) -> Json:
        """The tool's output. Raises `Problem`."""

    async def sleep(self, seconds: float) -> None: ...


class _End(BaseException):
    """The directive `end`: completes the whole run from wherever it stands."""

    def __init__(self, output: Json) -> None:
        super().__init__()
        self.output = output


class Interpreter:
    """One run of one document.

    Args:
        descriptor: `$workflow`: id, definition, input (raw), startedAt.
    """

    def __init__(self, document: Document, effects: Effects, *, descriptor: dict[str, Json]) -> None:
        self._document = document
        self._effects = effects
        self._constants = {
            "workflow": descriptor,
            "runtime": {"name": "factotum", "version": "1", "metadata": {}},
        }
        self._context: Json = None
        self._abort = Abort()
        self.journal = Journal()

    def abort(self) -> None:
        """No further step begins; `run` raises `Aborted` at its next one."""
        self._abort.set()

    async def run(self, raw: Json) -> Json:
        """The run's output. Raises `Problem`, or `Aborted` after `abort()`."""
        try:
            return await self._run(raw)
        except Problem:
            raise
        except Exception as error:
            # A fault of the interpreter. Temporal would try it again until it is mended, and the run would
            # neither end nor be undone; who waits for it is better served by a failure that says so.
            raise Problem(problem.RUNTIME, 500, "internal error", f"{type(error).__name__}: {error}") from error

    async def _run(self, raw: Json) -> Json:
        _validate(self._document.input, raw, "/input/schema")
        value = self._shape(self._document.input.from_, raw, self._constants, "/input/from")
        # The specification gives the transformed input as the initial `$context` of a run.
        self._context = value
        try:
            value = await self._tasks(self._document.do, "/do", value, Scope(abort=self._abort))
        except _End as end:
            value = end.output
        arguments = {**self._constants, "context": self._context}
        output = self._shape(self._document.output.as_, value, arguments, "/output/as")
        _validate(self._document.output, output, "/output/schema")
        return output

    async def settle(self, doubt: Doubt) -> None:
        """Finds out what became of a doubtful effect: if it happened, it is in the journal afterwards.

        Raises `Problem` if that cannot be found out.
        """
        step = replace(doubt.step, settle=True, patient=True, summary=f"find out about {_name(doubt.step)}")
        try:
            output = await self._effects.call(step)
        except Problem as error:
            if error.title == problem.NOT_DONE:
                return
            raise error.at(step.pointer) from None
        self.journal.done(doubt.step, doubt.compensate, output, doubt.arguments)

    async def undo(self, done: Done) -> None:
        """Carries out one compensation. Raises `Problem`."""
        pointer = f"{done.step.pointer}/metadata/compensate"
        try:
            arguments = expressions.evaluate(done.compensate.with_, done.output, done.arguments)
        except expressions.ExpressionError as error:
            raise Problem(problem.EXPRESSION, 400, "expression", str(error), pointer) from error
        step = replace(
            done.step,
            tool=done.compensate.call,
            arguments=arguments,
            summary=f"undo {_name(done.step)}",
            patient=True,
            compensation=True,
        )
        try:
            await self._effects.call(step)
        except Problem as error:
            raise error.at(pointer) from None

    async def _tasks(self, tasks: Tasks, pointer: str, value: Json, scope: Scope) -> Json:
        positions = {named.name: index for index, named in enumerate(tasks)}
        rounds = Counter[str]()
        index = 0
        while index < len(tasks):
            named = tasks[index]
            rounds[named.name] += 1
            if rounds[named.name] > MAX_ROUNDS:
                where = f"{pointer}/{index}/{named.name}"
                raise Problem(problem.RUNTIME, 500, "endless loop", f"reached more than {MAX_ROUNDS} times", where)
            # Reached again by `then`, a task means a new effect; retried by a `try`, the same one.
            here = scope if rounds[named.name] == 1 else scope.round(f"r{rounds[named.name]}")
            value, then = await self._task(f"{pointer}/{index}/{named.name}", named, value, here)
            if then == "end":
                raise _End(value)
            if then == "exit":
                return value
            index = index + 1 if then == "continue" else positions[then]
        return value

    async def _task(self, pointer: str, named: NamedTask, raw: Json, scope: Scope) -> tuple[Json, str]:
        """(transformed output, flow directive)."""
        if scope.abort.raised:
            raise Aborted
        task = named.task
        arguments: dict[str, Json] = {
            **self._constants,
            **scope.variables,
            "context": self._context,
            "task": {"name": named.name, "reference": pointer, "input": raw},
        }
        try:
            if task.if_ is not None and not expressions.truthy(self._shape(task.if_, raw, arguments, f"{pointer}/if")):
                return raw, "continue"
            _validate(task.input, raw, f"{pointer}/input/schema")
            value = self._shape(task.input.from_, raw, arguments, f"{pointer}/input/from")
            arguments["input"] = value
            produced, then = await self._carry_out(task, pointer, value, arguments, scope)
            arguments["context"] = self._context
            output = self._shape(task.output.as_, produced, arguments, f"{pointer}/output/as")
            arguments["output"] = output
            _validate(task.output, output, f"{pointer}/output/schema")
            if task.export.as_ is not None:
                exported = self._shape(task.export.as_, output, arguments, f"{pointer}/export/as")
                _validate(task.export, exported, f"{pointer}/export/schema")
                self._context = exported
        except expressions.ExpressionError as error:
            raise Problem(problem.EXPRESSION, 400, "expression", str(error), pointer) from error
        except Problem as error:
            raise error.at(pointer) from None
        return output, then

    async def _carry_out(
        self, task: Task, pointer: str, value: Json, arguments: dict[str, Json], scope: Scope
    ) -> tuple[Json, str]:
        """(raw output, flow directive) of a task, by its kind."""
        match task:
            case CallTask():
                return await self._call(task, pointer, value, arguments, scope), task.then
            case DoTask():
                return await self._tasks(task.do, f"{pointer}/do", value, scope), task.then
            case SetTask():
                return expressions.evaluate(task.set, value, arguments), task.then
            case ForTask():
                return await self._for(task, pointer, value, arguments, scope), task.then
            case ForkTask():
                return await self._fork(task, pointer, value, scope), task.then
            case SwitchTask():
                return value, self._switch(task, value, arguments)
            case TryTask():
                return await self._try(task, pointer, value, arguments, scope), task.then
            case RaiseTask():
                raise self._raised(task, pointer, value, arguments)
            case WaitTask():
                await self._effects.sleep(task.wait.total_seconds)
                return value, task.then
            case _:
                raise Problem(problem.RUNTIME, 500, "unknown task", f"a `{task.kind}` task", pointer)

    async def _call(self, task: CallTask, pointer: str, value: Json, arguments: dict[str, Json], scope: Scope) -> Json:
        step = Step(
            pointer=pointer,
            iteration=".".join(scope.iteration),
            tool=task.call,
            arguments=expressions.evaluate(task.with_, value, arguments),
            summary=str(expressions.evaluate(task.summary, value, arguments)),
            patient=not scope.in_try,
        )
        surroundings = dict(arguments)
        try:
            output = await self._effects.call(step)
        except Problem as error:
            if error.effect_possible:
                self.journal.doubt(step, task.compensate, surroundings)
            raise
        except asyncio.CancelledError:
            self.journal.doubt(step, task.compensate, surroundings)
            raise
        self.journal.done(step, task.compensate, output, surroundings)
        return output

    async def _for(self, task: ForTask, pointer: str, value: Json, arguments: dict[str, Json], scope: Scope) -> Json:
        items = self._shape(task.for_.in_, value, arguments, f"{pointer}/for/in")
        if not isinstance(items, list):
            detail = f"`in` must give an array, not {_kind(items)}"
            raise Problem(problem.EXPRESSION, 400, "expression", detail, f"{pointer}/for/in")
        for index, item in enumerate(items):
            bound = {task.for_.each: item, task.for_.at: index}
            if task.while_ is not None and not expressions.truthy(
                self._shape(task.while_, value, {**arguments, **bound, "context": self._context}, f"{pointer}/while")
            ):
                break
            value = await self._tasks(task.do, f"{pointer}/do", value, scope.bind(**bound).round(str(index)))
        return value

    async def _fork(self, task: ForkTask, pointer: str, value: Json, scope: Scope) -> Json:
        """The branches' outputs in their order. The first branch to fail, or to `end`, ends the others."""
        below = replace(scope, abort=Abort(scope.abort))
        branches = [
            asyncio.ensure_future(self._branch(f"{pointer}/fork/branches/{index}/{named.name}", named, value, below))
            for index, named in enumerate(task.fork.branches)
        ]
        try:
            return list(await asyncio.gather(*branches))
        except BaseException:
            # Calls in flight are asked to end and awaited, so that what they did is known and undone.
            below.abort.set()
            for branch in branches:
                branch.cancel()
            await asyncio.gather(*branches, return_exceptions=True)
            raise

    async def _branch(self, pointer: str, named: NamedTask, value: Json, scope: Scope) -> Json:
        output, then = await self._task(pointer, named, value, scope)
        if then == "end":
            raise _End(output)
        return output

    def _switch(self, task: SwitchTask, value: Json, arguments: dict[str, Json]) -> str:
        default = task.then
        for named in task.switch:
            if named.case.when is None:
                default = named.case.then
            elif expressions.truthy(expressions.evaluate_expression(named.case.when, value, arguments)):
                return named.case.then
        return default

    async def _try(self, task: TryTask, pointer: str, value: Json, arguments: dict[str, Json], scope: Scope) -> Json:
        attempt = 0
        while True:
            try:
                return await self._tasks(task.try_, f"{pointer}/try", value, replace(scope, in_try=True))
            except Problem as error:
                seen = {**arguments, "context": self._context, task.catch.as_: error.as_json()}
                if not catches(task.catch, error, value, seen):
                    raise
                attempt += 1
                delay = retry_delay(task.catch.retry, attempt, value, seen)
                if delay is None:
                    handler = scope.bind(**{task.catch.as_: error.as_json()})
                    return await self._tasks(task.catch.do, f"{pointer}/catch/do", value, handler)
            await self._effects.sleep(delay)

    def _raised(self, task: RaiseTask, pointer: str, value: Json, arguments: dict[str, Json]) -> Problem:
        error = task.raise_.error
        title, detail = (
            str(expressions.evaluate(text or "", value, arguments)) for text in (error.title, error.detail)
        )
        return Problem(error.type, error.status, title or error.type.rpartition("/")[2], detail, pointer)

    def _shape(self, expression: Json, value: Json, arguments: Mapping[str, Json], pointer: str) -> Json:
        """The value transformed by `from`, `as`, `if` …; itself if there is no expression."""
        if expression is None:
            return value
        try:
            return expressions.evaluate_expression(expression, value, arguments)
        except expressions.ExpressionError as error:
            raise Problem(problem.EXPRESSION, 400, "expression", str(error), pointer) from error


def _validate(holder: Input | Output, value: Json, pointer: str) -> None:
    if holder.schema_ is None:
        return
    validator = Draft202012Validator(holder.schema_.document, registry=schemas.NOTHING_REMOTE)
    error = next(validator.iter_errors(value), None)
    if error is not None:
        # The message of jsonschema repeats the value, which may be personal data: say where and what rule.
        at = "/".join(map(str, error.absolute_path)) or "the value"
        detail = f"{at} breaks `{error.validator}: {error.validator_value}`"
        raise Problem(problem.VALIDATION, 400, "validation", detail, pointer)


def _name(step: Step) -> str:
    return step.pointer.rpartition("/")[2]


def _kind(value: Json) -> str:
    names = {dict: "an object", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
