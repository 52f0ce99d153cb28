"""What leads from task to task: do, set, for, fork, switch, try, raise, wait. Source: DSL 1.0.3."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from factotum.procedures import expressions
from factotum.procedures.tasks import (
    DoTask,
    ErrorDefinition,
    ForkTask,
    ForTask,
    NamedTask,
    RaiseTask,
    SetTask,
    SwitchTask,
    TryTask,
    WaitTask,
)
from factotum.workflows import problem
from factotum.workflows.catching import Caught, catches, retry_delay
from factotum.workflows.ending import End
from factotum.workflows.place import Place
from factotum.workflows.problem import Problem
from factotum.workflows.progress import afresh
from factotum.workflows.racing import ended, first_done
from factotum.workflows.scope import Abort, Scope
from factotum.workflows.shaping import kind

if TYPE_CHECKING:
    from factotum.workflows.interpreter import Interpreter

Json = Any


async def do(run: Interpreter, task: DoTask, place: Place) -> Json:
    return await run.tasks(task.do, f"{place.pointer}/do", place.value, place.scope)


async def set_(run: Interpreter, task: SetTask, place: Place) -> Json:
    return await run.resolve(task.set, place.value, place.arguments, f"{place.pointer}/set")


async def wait(run: Interpreter, task: WaitTask, place: Place) -> Json:
    if "until" not in place.frame:
        seconds = await run.seconds(task.wait, place.value, place.arguments, f"{place.pointer}/wait")
        place.frame["until"] = run.effects.now().timestamp() + seconds
    await run.sleep_until(place.frame["until"])
    return place.value


async def switch(run: Interpreter, task: SwitchTask, place: Place) -> str:
    """The flow directive."""
    default = task.then
    for index, named in enumerate(task.switch):
        where = f"{place.pointer}/switch/{index}/{named.name}/when"
        if named.case.when is None:
            default = named.case.then
        elif expressions.truthy(await run.shape(named.case.when, place.value, place.arguments, where)):
            return named.case.then
    return default


async def raise_(run: Interpreter, task: RaiseTask, place: Place) -> Json:
    """Always raises `Problem`."""
    where = f"{place.pointer}/raise/error"
    error = task.raise_.error
    named = run.document.use.errors.get(error) if isinstance(error, str) else error
    if not isinstance(named, ErrorDefinition):
        raise Problem(problem.CONFIGURATION, 400, "configuration", f"there is no error {error!r}", where)
    type_, title, detail = [
        str(await run.resolve(text or "", place.value, place.arguments, where))
        for text in (named.type, named.title, named.detail)
    ]
    raise Problem(type_, named.status, title or type_.rpartition("/")[2], detail, place.pointer)


async def for_each(run: Interpreter, task: ForTask, place: Place) -> Json:
    frame, pointer = place.frame, place.pointer
    if "items" not in frame:
        items = await run.shape(task.for_.in_, place.value, place.arguments, f"{pointer}/for/in")
        if not isinstance(items, list):
            detail = f"`in` must give an array, not {kind(items)}"
            raise Problem(problem.EXPRESSION, 400, "expression", detail, f"{pointer}/for/in")
        frame.update(items=items, index=0, value=place.value)
    while (index := frame["index"]) < len(frame["items"]):
        bound = {task.for_.each: frame["items"][index], task.for_.at: index}
        value = frame["value"]
        if task.while_ is not None and frame.get("entered") != index:
            arguments = {**place.arguments, **bound, "context": run.context}
            if not expressions.truthy(await run.shape(task.while_, value, arguments, f"{pointer}/while")):
                break
        frame["entered"] = index
        below = place.scope.bind(**bound).round(str(index))
        frame.update(value=await run.tasks(task.do, f"{pointer}/do", value, below), index=index + 1)
    return frame["value"]


async def fork(run: Interpreter, task: ForkTask, place: Place) -> Json:
    """The branches' outputs in their order, or the winner's alone.

    The first branch to fail, or to `end`, ends the others; among competing branches the first to
    complete does, and a failure counts only when none completes.
    """
    below = replace(place.scope, abort=Abort(place.scope.abort))
    done: dict[str, Json] = place.frame.setdefault("done", {})
    branches = [
        asyncio.ensure_future(_branch(run, f"{place.pointer}/fork/branches/{index}", index, named, place, below, done))
        for index, named in enumerate(task.fork.branches)
    ]
    try:
        if task.fork.compete and branches:
            return await _winner(branches)
        return list(await asyncio.gather(*branches))
    finally:
        if not all(branch.done() for branch in branches):
            # Calls in flight are asked to end and awaited, so that what they did is known and undone.
            below.abort.set()
            await ended(*branches)
        else:
            for branch in branches:
                branch.cancelled() or branch.exception()  # every error is looked at: only one is raised


async def _branch(
    run: Interpreter, pointer: str, index: int, named: NamedTask, place: Place, scope: Scope, done: dict[str, Json]
) -> Json:
    if str(index) not in done:
        where = f"{pointer}/{expressions.escape(named.name)}"
        output, then = await run.task(where, named, place.value, scope)
        if then == "end":
            raise End(output)
        done[str(index)] = output
    return done[str(index)]


async def _winner(branches: Sequence[asyncio.Future[Json]]) -> Json:
    running = list(branches)
    while True:
        finished = running[await first_done(running)]
        if finished.cancelled() or not isinstance(finished.exception(), Problem) or len(running) == 1:
            return finished.result()
        running.remove(finished)


async def try_(run: Interpreter, task: TryTask, place: Place) -> Json:
    frame, pointer = place.frame, place.pointer
    while "caught" not in frame:
        try:
            return await _attempt(run, task, place)
        except Problem as error:
            # What the failed attempt had open is not taken up by the next one.
            afresh(frame)
            caught = Caught(run, task.catch, pointer, place)
            seen = {**place.arguments, "context": run.context, task.catch.as_: error.as_json()}
            if not await catches(caught, error, seen):
                raise
            frame["failures"] = frame.get("failures", 0) + 1
            frame.setdefault("first_failure", run.effects.now().timestamp())
            delay = await retry_delay(caught, frame["failures"], frame["first_failure"], seen)
            if delay is None:
                if not task.catch.do and task.catch.retry is not None:
                    # Caught to be tried again, which has not helped: nobody has dealt with it.
                    raise
                frame["caught"] = error.as_json()
                run.tell(pointer, place.scope, "try", "caught", frame["caught"])
                break
            run.tell(pointer, place.scope, "try", "retried", error.as_json())
            frame["until"] = run.effects.now().timestamp() + delay
    handler = place.scope.bind(**{task.catch.as_: frame["caught"]})
    return await run.tasks(task.catch.do, f"{pointer}/catch/do", place.value, handler)


async def _attempt(run: Interpreter, task: TryTask, place: Place) -> Json:
    frame, pointer = place.frame, place.pointer
    if "until" in frame:
        await run.sleep_until(frame["until"])
        del frame["until"]
    inside = replace(place.scope, in_try=True)
    retry = run.retry(task.catch)
    if retry is None or retry.limit.attempt.duration is None:
        return await run.tasks(task.try_, f"{pointer}/try", place.value, inside)
    where = f"{pointer}/catch/retry/limit/attempt/duration"
    seconds = await run.seconds(retry.limit.attempt.duration, place.value, place.arguments, where)
    attempt = frame.setdefault("attempt", {})
    try:
        return await run.within(
            lambda below: run.tasks(task.try_, f"{pointer}/try", place.value, below), seconds, attempt, pointer, inside
        )
    finally:
        frame.pop("attempt", None)
