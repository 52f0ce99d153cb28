"""Every task of a document with the names that are bound around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from factotum.procedures.expressions import escape
from factotum.procedures.model import Document
from factotum.procedures.tasks import CallTask, ForeachEvent, ForTask, ListenTask, NamedTask, Task, TryTask, children

Names = frozenset[str]

# Source: DSL 1.0.3, "Runtime expression arguments".
RESERVED: Names = frozenset(
    ("context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime"),
)


@dataclass(frozen=True, slots=True)
class Scoped:
    """A task in its place.

    Attributes:
        bound: what the loops, iterators and catches around it have bound.
    """

    pointer: str
    task: Task
    bound: Names


@dataclass(frozen=True, slots=True)
class ScopedList:
    """A list of tasks in its place; `ordered` is false for the branches of a fork."""

    pointer: str
    tasks: tuple[NamedTask, ...]
    bound: Names
    ordered: bool = True


def lists(document: Document) -> Iterator[ScopedList]:
    """Every list of tasks, outer before inner, those of functions and extensions included."""
    yield from _below(ScopedList("/do", document.do, frozenset()))
    for name, task in document.use.functions.items():
        yield from _inside(f"/use/functions/{escape(name)}", task, frozenset())
    for index, named in enumerate(document.use.extensions):
        pointer = f"/use/extensions/{index}/{escape(named.name)}"
        yield from _below(ScopedList(f"{pointer}/before", named.extension.before, frozenset()))
        yield from _below(ScopedList(f"{pointer}/after", named.extension.after, frozenset()))


def tasks(document: Document) -> Iterator[Scoped]:
    """Every task, those that functions stand for included."""
    for name, task in document.use.functions.items():
        yield Scoped(f"/use/functions/{escape(name)}", task, frozenset())
    for found in lists(document):
        for index, named in enumerate(found.tasks):
            yield Scoped(f"{found.pointer}/{index}/{escape(named.name)}", named.task, found.bound)


def iterator_of(task: Task) -> tuple[str, ForeachEvent] | None:
    """What a task does with each event or message, with its pointer relative to the task."""
    if isinstance(task, ListenTask) and task.foreach is not None:
        return "/foreach", task.foreach
    if isinstance(task, CallTask) and (found := task.subscription) is not None and found.foreach is not None:
        return "/with/subscription/foreach", found.foreach
    return None


def binds(task: Task, relative: str) -> Names:
    """The variables that a task binds for one of its lists."""
    if isinstance(task, ForTask):
        return frozenset((task.for_.each, task.for_.at))
    if isinstance(task, TryTask) and relative == "/catch/do":
        return frozenset((task.catch.as_,))
    if (iterator := iterator_of(task)) is not None:
        return frozenset((iterator[1].item, iterator[1].at))
    return frozenset()


def _below(found: ScopedList) -> Iterator[ScopedList]:
    yield found
    for index, named in enumerate(found.tasks):
        yield from _inside(f"{found.pointer}/{index}/{escape(named.name)}", named.task, found.bound)


def _inside(pointer: str, task: Task, bound: Names) -> Iterator[ScopedList]:
    for relative, inner in children(task):
        ordered = relative != "/fork/branches"
        yield from _below(ScopedList(pointer + relative, inner, bound | binds(task, relative), ordered))
