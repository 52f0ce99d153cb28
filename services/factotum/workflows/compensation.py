"""What was done, what may have been done, and how it is undone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from factotum.workflows.step import Step


class Done(BaseModel):
    """A finished call with the call that undoes it.

    Attributes:
        step: the finished call, without its arguments.
        tool, arguments: the undoing call, evaluated when the step was done.
        fault: why its arguments could not be evaluated; empty if they could.
    """

    model_config = ConfigDict(frozen=True)

    step: Step
    tool: str
    arguments: dict[str, Any]
    fault: str = ""


class Doubt(BaseModel):
    """A call that was interrupted, or failed, at a point where its effect may have happened.

    Attributes:
        undo: its compensation as in the document, with the variables that its arguments need; None if
            it has none.
    """

    model_config = ConfigDict(frozen=True)

    step: Step
    undo: dict[str, Any] | None
    surroundings: dict[str, Any]


class Journal:
    """The calls of a run in the order in which they ended, each once however often it was retried."""

    def __init__(self) -> None:
        self._done: dict[tuple[str, str, str], Done] = {}
        self._doubts: dict[tuple[str, str, str], Doubt] = {}

    def ended(self, step: Step) -> None:
        """The call succeeded: there is no doubt about it any more."""
        self._doubts.pop(step.identity, None)

    def done(self, done: Done) -> None:
        """The call succeeded and can be undone."""
        self.ended(done.step)
        self._done.setdefault(done.step.identity, done.model_copy(update={"step": replace(done.step, arguments={})}))

    def doubt(self, doubt: Doubt) -> None:
        """The call ended without an answer to whether its effect happened."""
        if doubt.step.identity not in self._done:
            self._doubts[doubt.step.identity] = doubt

    def undone(self, done: Done) -> None:
        """Nothing more is to be done about it."""
        self._done.pop(done.step.identity, None)

    def adopt(self, run_id: str, done: Iterable[Done], doubts: Iterable[Doubt]) -> None:
        """What a run nested in this one did, or may have done, to be undone with it."""
        for each in done:
            self.done(each.model_copy(update={"step": replace(each.step, run_id=each.step.run_id or run_id)}))
        for doubt in doubts:
            self.doubt(doubt.model_copy(update={"step": replace(doubt.step, run_id=doubt.step.run_id or run_id)}))

    def doubts(self) -> list[Doubt]:
        """The latest first."""
        return list(reversed(self._doubts.values()))

    def backwards(self) -> list[Done]:
        """The latest first."""
        return list(reversed(self._done.values()))

    def as_json(self) -> dict[str, Any]:
        return {
            "done": [done.model_dump(mode="json") for done in self._done.values()],
            "doubts": [doubt.model_dump(mode="json") for doubt in self._doubts.values()],
        }

    @classmethod
    def of(cls, saved: dict[str, Any]) -> Journal:
        journal = cls()
        for each in saved["done"]:
            journal.done(Done.model_validate(each))
        for each in saved["doubts"]:
            journal.doubt(Doubt.model_validate(each))
        return journal
