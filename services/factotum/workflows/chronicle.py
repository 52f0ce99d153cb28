"""What became of a run's steps, kept while it runs, for who is told of its end. Changes nothing in the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from factotum.procedures.model import Document
from factotum.procedures.protocols import tool_of
from factotum.procedures.tasks import RunTask, Task, walk
from factotum.workflows.contract import PlannedStep, StepTold
from factotum.workflows.world import TaskEvent

# The tasks that people would call steps; what only shapes data or holds others is none.
TOLD = frozenset({"call", "run", "emit", "listen", "wait", "switch", "try", "raise"})
PLANNED = TOLD - {"try", "raise"}
# Of a document and of a run. A run carries its chronicle along when it moves to another execution.
MOST_STEPS = 50
LONGEST_TEXT = 200

_STATUS = {
    "started": "running",
    "completed": "completed",
    "skipped": "skipped",
    "faulted": "failed",
    "ended": "cancelled",
    "caught": "running",
    "retried": "running",
}


class Chronicle:
    """One entry for each step of the document, however often loops and retries came to it: the first `MOST_STEPS`.

    Args:
        now: the run's clock, the same on every replay.
        saved: what `as_json` gave.
    """

    def __init__(self, now: Callable[[], datetime], saved: Mapping[str, Any] | None = None) -> None:
        self._now = now
        saved = saved or {}
        self._steps = {each["step"]: StepTold.model_validate(each) for each in saved.get("steps", [])}
        self._left_out: dict[str, None] = dict.fromkeys(saved.get("left_out", []))

    def take(self, event: TaskEvent) -> None:
        """An `Observe`."""
        if event.kind not in TOLD:
            return
        found = self._steps.get(event.pointer)
        if found is None:
            if len(self._steps) >= MOST_STEPS:
                if len(self._left_out) < MOST_STEPS:
                    self._left_out[event.pointer] = None
                return
            found = StepTold(step=event.pointer, kind=event.kind, status="running", started_at=self._now())
        self._steps[event.pointer] = found.model_copy(update=self._changes(found, event))

    def _changes(self, found: StepTold, event: TaskEvent) -> dict[str, Any]:
        changes: dict[str, Any] = {"status": _STATUS[event.phase]}
        if event.phase != "started":
            changes["ended_at"] = self._now()
        match event.phase:
            case "completed":
                changes["completed"] = found.completed + 1
                if event.branch:
                    changes["branch"] = event.branch[:LONGEST_TEXT]
            case "faulted" | "caught" | "retried":
                error = event.value if isinstance(event.value, dict) else {}
                changes["error"] = str(error.get("title", ""))[:LONGEST_TEXT]
                changes["failure"] = str(error.get("detail", ""))[:LONGEST_TEXT]
                changes["at"] = str(error.get("instance", ""))[:LONGEST_TEXT]
                count = {"faulted": "failed", "caught": "caught", "retried": "retried"}[event.phase]
                changes[count] = getattr(found, count) + 1
        return changes

    @property
    def steps(self) -> list[StepTold]:
        """In the order in which they were come to."""
        return list(self._steps.values())

    @property
    def left_out(self) -> int:
        """Steps that are not told, at most as many as are."""
        return len(self._left_out)

    def as_json(self) -> dict[str, Any]:
        return {"steps": [each.model_dump(mode="json") for each in self.steps], "left_out": list(self._left_out)}


def goal_of(document: Document) -> str:
    """What the document says that it is for; its name has to do where that is empty."""
    about = document.document
    return " ".join((about.title or about.summary).split())[:LONGEST_TEXT]


def plan_of(document: Document) -> list[PlannedStep]:
    """The steps as they stand in the document, the first `MOST_STEPS`; those of its functions are told as they come."""
    found = []
    for pointer, named in walk(document.do):
        if named.task.kind in PLANNED:
            found.append(PlannedStep(step=pointer, tool=_does(named.task), summary=_summary(named.task)))
        if len(found) == MOST_STEPS:
            break
    return found


def _does(task: Task) -> str:
    if isinstance(task, RunTask) and task.run.workflow is not None:
        return task.run.workflow.reference
    return tool_of(task) or task.kind


def _summary(task: Task) -> str:
    """As it is written; one that is an expression says nothing to a reader."""
    text = " ".join(task.summary.split())
    return "" if "${" in text else text[:LONGEST_TEXT]
