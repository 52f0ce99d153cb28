"""Where `then` leads, what is never reached, and what never ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from factotum.procedures.checks import nearest
from factotum.procedures.checks.scopes import ScopedList, lists
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document
from factotum.procedures.tasks import (
    DoTask,
    ForkTask,
    NamedTask,
    RaiseTask,
    SwitchTask,
    Task,
    TryTask,
    children,
    walk,
)

DIRECTIVES = ("continue", "exit", "end")
Tasks = tuple[NamedTask, ...]


def faults(document: Document) -> Iterator[Fault]:
    """The faults of every list of tasks. What a time limit ends may go round for ever."""
    for name, task in document.use.functions.items():
        yield from _targets(f"/use/functions/{escape(name)}", task, ())
    limited = ["/do"] if document.timeout is not None else []
    for found in lists(document):
        names = tuple(named.name for named in found.tasks) if found.ordered else ()
        lost = False
        for index, named in enumerate(found.tasks):
            here = f"{found.pointer}/{index}/{escape(named.name)}"
            if named.task.timeout is not None:
                limited.append(f"{here}/")
            for fault in _targets(here, named.task, names):
                lost = True
                yield fault
        if found.ordered and not lost:
            yield from _ways(found, any(found.pointer.startswith(above) for above in limited))


def _targets(pointer: str, task: Task, names: tuple[str, ...]) -> Iterator[Fault]:
    """`then` must name a directive or a task of the same list; the branches of a fork have no order."""
    given = [(f"{pointer}/then", task.then)]
    if isinstance(task, SwitchTask):
        given += [
            (f"{pointer}/switch/{position}/{escape(entry.name)}/then", entry.case.then)
            for position, entry in enumerate(task.switch)
        ]
    for where, target in given:
        if target not in DIRECTIVES and target not in names:
            advice = nearest.among(target, (*DIRECTIVES, *names), lead="Here are")
            yield Fault(where, f"`then: {target}` leads nowhere", advice)


def _ways(found: ScopedList, limited: bool) -> Iterator[Fault]:
    """What of a list is never reached, or is reached and never left."""
    tasks = found.tasks
    ways = ways_of(tasks)
    reached = _reached(ways) & set(range(len(tasks)))
    for index in range(1, len(tasks)):
        # Of what is not reached only the first is named: the rest follows on it.
        if index not in reached and index not in ways[index - 1]:
            yield Fault(
                f"{found.pointer}/{index}/{escape(tasks[index].name)}",
                f"`{tasks[index].name}` is never reached",
                f"After `{tasks[index - 1].name}` the run does not come here, and no `then` that is reached names it",
            )
    able = {index for index in reached if max(ways[index], default=len(tasks)) >= len(tasks)}
    able |= {index for index in reached if _may_leave(tasks[index].task)}
    before: dict[int, list[int]] = {index: [] for index in reached}
    for index in reached:
        for way in ways[index] & reached:
            before[way].append(index)
    pending = list(able)
    while pending:
        leading = [index for index in before[pending.pop()] if index not in able]
        able.update(leading)
        pending += leading
    if (stuck := sorted(reached - able)) and not limited:
        yield _endless(found, stuck, ways)


def _endless(found: ScopedList, stuck: list[int], ways: list[set[int]]) -> Fault:
    # Where the way leads back is where it is mended.
    turn = next((index for index in stuck if any(way <= index for way in ways[index])), stuck[-1])
    named = found.tasks[turn]
    where = f"{found.pointer}/{turn}/{escape(named.name)}"
    names = ", ".join(f"`{found.tasks[index].name}`" for index in stuck)
    return Fault(
        where if named.task.then in DIRECTIVES else f"{where}/then",
        f"this never ends: from {names} no way leads out",
        "Leave the round by a `switch` or an `if`, or give it a `timeout`",
    )


def _reached(ways: list[set[int]]) -> set[int]:
    """The positions that a list reaches from its beginning, those past its end included."""
    reached: set[int] = set()
    pending = [0]
    while pending:
        index = pending.pop()
        if index not in reached:
            reached.add(index)
            pending += ways[index] if index < len(ways) else ()
    return reached


def ways_of(tasks: Tasks) -> list[set[int]]:
    """Of each task, the positions that may come after it.

    The list's length stands for its end, one more for the end of the run; nothing comes after what raises.
    """
    positions = {named.name: position for position, named in enumerate(tasks)}
    return [_ways_from(index, named.task, positions) for index, named in enumerate(tasks)]


def _ways_from(index: int, task: Task, positions: Mapping[str, int]) -> set[int]:
    targets = set[str]()
    if isinstance(task, SwitchTask):
        targets |= {entry.case.then for entry in task.switch}
        if all(entry.case.when is not None for entry in task.switch):
            targets.add(task.then)
    elif goes_on(task):
        targets.add(task.then)
    end = len(positions)
    known = {"continue": index + 1, "exit": end, "end": end + 1}
    ways = {known.get(target, positions.get(target, end)) for target in targets}
    return ways | {index + 1} if task.if_ is not None else ways


def goes_on(task: Task) -> bool:
    """Whether the run can go on after a task: false if it always raises, or always ends the run."""
    match task:
        case RaiseTask():
            return False
        case DoTask():
            return completes(task.do)
        case TryTask():
            return completes(task.try_) or completes(task.catch.do)
        case ForkTask():
            branches = [goes_on(branch.task) and branch.task.then != "end" for branch in task.fork.branches]
            return any(branches) if task.fork.compete else all(branches)
        case _:
            return True


def completes(tasks: Tasks) -> bool:
    """Whether a list of tasks can come to its end without ending the run."""
    return len(tasks) in _reached(ways_of(tasks))


def _may_leave(task: Task) -> bool:
    """Whether a task, or one inside it, may raise an error or end the run."""
    inside = [named.task for relative, inner in children(task) for _, named in walk(inner, relative)]
    return any(isinstance(each, RaiseTask) or "end" in _thens(each) for each in (task, *inside))


def _thens(task: Task) -> set[str]:
    cases = {entry.case.then for entry in task.switch} if isinstance(task, SwitchTask) else set[str]()
    return cases | {task.then}
