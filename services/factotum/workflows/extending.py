"""Extensions: tasks before and after every task of a kind. Source: DSL 1.0.3, "Extension".

They change no data, with one exception: `exit` in `before` passes the extended task over, and what the
extension produced is the task's output.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from factotum.procedures import expressions
from factotum.procedures.model import NamedExtension
from factotum.procedures.tasks import Task
from factotum.workflows.calling import called_from
from factotum.workflows.place import Place

if TYPE_CHECKING:
    from factotum.workflows.interpreter import Interpreter

Json = Any

_COMPOSITE = frozenset({"do", "fork"})


async def before(run: Interpreter, task: Task, place: Place) -> tuple[Json] | None:
    """What replaces the task's output, where an extension passes the task over."""
    done = place.frame.setdefault("before", {})
    async for index, named, pointer in _applying(run, task, place):
        if str(index) not in done:
            tasks = named.extension.before
            value, left = await run.tasks_and_exit(tasks, f"{pointer}/before", place.value, _scope(place))
            done[str(index)] = [value] if left else None
        if done[str(index)] is not None:
            return (done[str(index)][0],)
    return None


async def after(run: Interpreter, task: Task, place: Place) -> None:
    done = place.frame.setdefault("after", {})
    async for index, named, pointer in _applying(run, task, place):
        if str(index) not in done:
            await run.tasks(named.extension.after, f"{pointer}/after", place.value, _scope(place))
            done[str(index)] = True


async def _applying(run: Interpreter, task: Task, place: Place) -> AsyncIterator[tuple[int, NamedExtension, str]]:
    applies = place.frame.setdefault("extensions", {})
    for index, named in enumerate(run.document.use.extensions):
        pointer = f"/use/extensions/{index}/{expressions.escape(named.name)}"
        wanted = named.extension.extend
        if not (wanted in ("all", task.kind) or (wanted == "composite" and task.kind in _COMPOSITE)):
            continue
        # Decided once: what follows the task is of the same extensions as what preceded it.
        if str(index) not in applies:
            when = named.extension.when
            arguments = {**place.arguments, "task": _described(place)}
            applies[str(index)] = when is None or expressions.truthy(
                await run.shape(when, place.value, arguments, f"{pointer}/when")
            )
        if applies[str(index)]:
            yield index, named, pointer


def _described(place: Place) -> dict[str, Json]:
    """`$task` of the extended task, with the properties of its definition, as the specification's examples use it."""
    task = place.arguments["task"]
    definition = task.get("definition")
    return {**(definition if isinstance(definition, dict) else {}), **task}


def _scope(place: Place) -> Any:
    below = place.scope.bind(task=_described(place)).round(called_from(place.pointer))
    return replace(below, extending=True)
