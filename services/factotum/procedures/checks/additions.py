"""What Factotum adds under a task's `metadata`: how it is undone, and who must agree.

The language leaves `metadata` to anyone, so any key is allowed that does not look like a slip of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from factotum.procedures import protocols
from factotum.procedures.checks import references
from factotum.procedures.checks.scopes import Scoped, tasks
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault
from factotum.procedures.metadata import Escalation
from factotum.procedures.model import Document
from factotum.procedures.tasks import CallTask, RunTask
from factotum.sdk.spec import Effect, ToolSpec

OURS = ("approval", "compensate", "summary")
_CLOSE = 0.8


def faults(document: Document, catalog: references.Catalog | None) -> Iterator[Fault]:
    """The faults of every task's `metadata`."""
    for scoped in tasks(document):
        yield from _near_misses(scoped)
        yield from _compensation(scoped, catalog)
        yield from _approval(scoped, document, catalog)


def _near_misses(scoped: Scoped) -> Iterator[Fault]:
    for key in scoped.task.metadata:
        if key not in OURS and (close := difflib.get_close_matches(key.lower(), OURS, n=1, cutoff=_CLOSE)):
            where = f"{scoped.pointer}/metadata/{escape(key)}"
            yield Fault(where, f"`{key}` means nothing here", f"Did you mean `{close[0]}`?")


def _compensation(scoped: Scoped, catalog: references.Catalog | None) -> Iterator[Fault]:
    undo = scoped.task.compensate
    if undo is None:
        return
    where = f"{scoped.pointer}/metadata/compensate"
    if not isinstance(scoped.task, CallTask | RunTask):
        advice = "Put it on the tasks inside that call something" if not _is_leaf(scoped) else "Take it out"
        yield Fault(where, "only a `call` or a `run` can name its compensation", advice)
        return
    spec = (catalog or {}).get(protocols.tool_named(undo.call) or "")
    if spec is not None and spec.effect is Effect.NONE:
        yield Fault(f"{where}/call", f"`{undo.call}` has no effect, so it undoes nothing", _with_effect(spec, catalog))


def _approval(scoped: Scoped, document: Document, catalog: references.Catalog | None) -> Iterator[Fault]:
    task = scoped.task
    if task.approval is None:
        return
    where = f"{scoped.pointer}/metadata/approval"
    yield from _people(f"{where}/by", task.approval.by)
    if isinstance(later := task.approval.otherwise, Escalation):
        yield from _people(f"{where}/otherwise/by", later.by)
    if "otherwise" in task.approval.model_fields_set and task.approval.within is None:
        advice = "Say `within` when, or take it out"
        yield Fault(
            f"{where}/otherwise", "`otherwise` is never reached: the approval is waited for without end", advice
        )
    if not isinstance(task, CallTask | RunTask):
        yield Fault(where, "only a `call` or a `run` can wait for an approval", "Put it on the task that acts")
        return
    if isinstance(task, CallTask) and references.function_of(task.call, document.use):
        return
    spec = (catalog or {}).get(protocols.tool_of(task) or "")
    if spec is not None and spec.effect is Effect.NONE:
        advice = "Put it on the task that acts on what was read"
        yield Fault(where, f"`{spec.name}` has no effect, so there is nothing to approve", advice)


def _people(pointer: str, names: tuple[str, ...]) -> Iterator[Fault]:
    """The faults of names that nobody can have; what an expression gives is not known."""
    for index, name in enumerate(names):
        where = f"{pointer}/{index}"
        if "${" in name:
            continue
        if not name.removeprefix("group:").strip() or ":" in name.removeprefix("group:"):
            yield Fault(where, f"nobody can be named `{name}`", "Write the name of a person, or `group:NAME`")
        elif name in names[:index]:
            yield Fault(where, f"`{name}` is named twice", "One person decides once")


def _is_leaf(scoped: Scoped) -> bool:
    return scoped.task.kind in ("set", "wait", "switch", "raise", "emit")


def _with_effect(spec: ToolSpec, catalog: references.Catalog | None) -> str:
    siblings = (other for other in (catalog or {}).values() if other.system == spec.system)
    others = sorted(other.name for other in siblings if other.effect is not Effect.NONE)
    return f"With an effect: {', '.join(others)}" if others else ""
