"""Calls: of tools, of protocols, of functions; and how they are undone. Source: DSL 1.0.3, "Call" and "Emit"."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from factotum.procedures.metadata import Compensate
from factotum.procedures.model import Document
from factotum.procedures.protocols import ASYNCAPI, PROTOCOLS, tool_named
from factotum.procedures.tasks import CallTask, EmitTask, NamedTask, Task, task_of
from factotum.workflows import problem
from factotum.workflows.compensation import Done, Doubt
from factotum.workflows.endpoints import authorization, prepared
from factotum.workflows.listening import subscribe
from factotum.workflows.place import Place
from factotum.workflows.problem import Problem
from factotum.workflows.step import Step

if TYPE_CHECKING:
    from factotum.workflows.interpreter import Interpreter

Json = Any

# Functions that call each other deeper than this are taken for endless.
MAX_DEPTH = 16


def functions_of(document: Document, cataloged: Mapping[str, dict[str, Json]]) -> dict[str, Task]:
    """The tasks that calls by name stand for, those of the document first."""
    found: dict[str, Task] = {}
    for name, body in cataloged.items():
        try:
            found[name] = task_of(body)
        except (ValidationError, PydanticCustomError):
            continue  # reported where it is called: there is no such function
    return {**found, **document.use.functions}


def called_from(pointer: str) -> str:
    """What tells a function's or an extension's steps from those of another caller: part of an iteration."""
    return f"@{hashlib.sha256(pointer.encode()).hexdigest()[:10]}"


async def call(run: Interpreter, task: CallTask, place: Place) -> Json:
    """The output of the tool or of the function."""
    if task.call in run.functions:
        return await _call_function(run, task, place)
    tool = tool_named(task.call)
    if tool is None:
        detail = f"there is no function {task.call!r}"
        raise Problem(problem.CONFIGURATION, 400, "configuration", detail, f"{place.pointer}/call")
    with_ = task.with_
    if task.call in PROTOCOLS or task.call == ASYNCAPI:
        with_ = prepared(with_, place.value, run.document.use.authentications, place.pointer)
        found = await run.resolve(authorization(with_), place.value, place.arguments, f"{place.pointer}/with")
        if found is not None:
            place.arguments["authorization"] = found
    if task.subscription is not None:
        return await subscribe(run, task.subscription, with_, place)
    arguments = await run.resolve(with_, place.value, place.arguments, f"{place.pointer}/with")
    return await call_tool(run, task, place, tool, arguments)


async def _call_function(run: Interpreter, task: CallTask, place: Place) -> Json:
    if place.scope.depth >= MAX_DEPTH:
        detail = f"functions call each other more than {MAX_DEPTH} deep"
        raise Problem(problem.RUNTIME, 500, "nested too deep", detail, place.pointer)
    given = await run.resolve(task.with_, place.value, place.arguments, f"{place.pointer}/with")
    await agreed_step(run, task, place, task.call, given)
    below = replace(place.scope.round(called_from(place.pointer)), variables={}, depth=place.scope.depth + 1)
    named = NamedTask(name=task.call, task=run.functions[task.call])
    pointer = f"/use/functions/{task.call.replace('~', '~0').replace('/', '~1')}"
    if "called" not in place.frame:
        place.frame["called"], _ = await run.task(pointer, named, given, below)
    await note(run, _done(run, place, task.call), task.compensate, place.frame["called"], place.arguments)
    return place.frame["called"]


async def call_tool(run: Interpreter, task: Task, place: Place, tool: str, arguments: dict[str, Json]) -> Json:
    """Carries out the call of a task, once people have agreed where they must, and notes how it is undone."""
    frame = place.frame
    if "called" not in frame:
        step = await agreed_step(run, task, place, tool, arguments)
        frame["called"] = await attempt(run, step, task.compensate, place)
    output = frame["called"]
    await note(run, _done(run, place, tool), task.compensate, output, place.arguments)
    return output


def _done(run: Interpreter, place: Place, tool: str) -> Step:
    """A finished call, as the journal keeps it."""
    secrets = run.secrets if run.secrets.names else None
    return Step(place.pointer, place.iteration, tool, {}, "", patient=True, secrets=secrets)


async def agreed_step(run: Interpreter, task: Task, place: Place, tool: str, arguments: dict[str, Json]) -> Step:
    """The call of a task, once people have agreed to it where they must. Raises `Problem` if they do not."""
    summary = str(await run.resolve(task.summary, place.value, place.arguments, f"{place.pointer}/metadata/summary"))
    step = Step(
        pointer=place.pointer,
        iteration=place.iteration,
        tool=tool,
        arguments=arguments,
        summary=summary,
        patient=not place.scope.in_try,
        secrets=run.secrets if run.secrets.names else None,
    )
    if (approval := task.approval) is None:
        return step
    proof = await run.approvals.obtain(
        run, approval, place, tenant=run.tenant, tool=tool, arguments=arguments, summary=summary
    )
    return replace(step, approval=proof)


async def attempt(run: Interpreter, step: Step, compensate: Compensate | None, place: Place) -> Json:
    """The output of a call; where it leaves a doubt, that is in the journal."""
    doubt = Doubt(
        step=step,
        undo=None if compensate is None else compensate.model_dump(by_alias=True),
        surroundings={} if compensate is None else surroundings(run, compensate, place.arguments),
    )
    async with run.effect():
        try:
            return await run.effects.call(step)
        except Problem as error:
            if error.effect_possible:
                run.journal.doubt(doubt)
            raise
        except asyncio.CancelledError:
            run.journal.doubt(doubt)
            raise


def surroundings(run: Interpreter, compensate: Compensate, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """Of what expressions may name, what those of a compensation do: a journal holds no more than it needs."""
    # The policies that it names have expressions too.
    text = str(_undoing(run, compensate, None, ""))
    return {name: value for name, value in arguments.items() if f"${name}" in text}


async def note(
    run: Interpreter, step: Step, compensate: Compensate | None, output: Json, arguments: Mapping[str, Json]
) -> None:
    """The call is done: there is no doubt about it any more, and this is how it is undone."""
    run.journal.ended(step)
    if compensate is None:
        return
    pointer, fault = f"{step.pointer}/metadata/compensate", ""
    try:
        undo = await run.resolve(_undoing(run, compensate, output, pointer), output, arguments, pointer)
    except Problem as error:
        undo, fault = {}, error.detail
    run.journal.done(Done(step=step, tool=tool_named(compensate.call) or compensate.call, arguments=undo, fault=fault))


def _undoing(run: Interpreter, compensate: Compensate, output: Json, pointer: str) -> Mapping[str, Json]:
    """What a compensation is called with, before its expressions: as for a call, with policies and URIs filled in."""
    if compensate.call not in PROTOCOLS and compensate.call != ASYNCAPI:
        return compensate.with_
    return prepared(compensate.with_, output, run.document.use.authentications, pointer)


async def settle(run: Interpreter, doubt: Doubt) -> None:
    """See `Interpreter.settle`."""
    step = replace(doubt.step, settle=True, patient=True, summary=f"find out about {name_of(doubt.step)}")
    try:
        output = await run.effects.call(step)
    except Problem as error:
        if error.title == problem.NOT_DONE:
            run.journal.ended(doubt.step)
            return
        raise error.at(step.pointer) from None
    compensate = None if doubt.undo is None else Compensate.model_validate(doubt.undo)
    await note(run, doubt.step, compensate, output, doubt.surroundings)


async def undo(run: Interpreter, done: Done) -> None:
    """See `Interpreter.undo`."""
    pointer = f"{done.step.pointer}/metadata/compensate"
    if done.fault:
        raise Problem(problem.EXPRESSION, 400, "expression", done.fault, pointer)
    step = replace(
        done.step,
        tool=done.tool,
        arguments=done.arguments,
        summary=f"undo {name_of(done.step)}",
        patient=True,
        compensation=True,
        approval=None,
    )
    try:
        await run.effects.call(step)
    except Problem as error:
        raise error.at(pointer) from None


def name_of(step: Step) -> str:
    return step.pointer.rpartition("/")[2]


async def emit(run: Interpreter, task: EmitTask, place: Place) -> Json:
    """The event that was published."""
    where = f"{place.pointer}/emit/event/with"
    with_ = await run.resolve(task.emit.event.with_, place.value, place.arguments, where)
    if "event" not in place.frame:
        summary = await run.resolve(task.summary, place.value, place.arguments, f"{place.pointer}/metadata/summary")
        place.frame["event"] = await run.publish(
            with_, pointer=place.pointer, iteration=place.iteration, summary=str(summary)
        )
    return place.frame["event"]
