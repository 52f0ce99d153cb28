"""What was done, what may have been done, and how it is undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factotum.procedures.metadata import Compensate
from factotum.workflows.step import Step


@dataclass(frozen=True, slots=True)
class Done:
    """A finished call that names its compensation, with the data that its arguments are made of."""

    step: Step
    compensate: Compensate
    output: Any
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call that was interrupted, or failed, at a point where its effect may have happened."""

    step: Step
    compensate: Compensate | None
    arguments: Mapping[str, Any]


class Journal:
    """The calls of a run in the order in which they ended, each once however often it was retried."""

    def __init__(self) -> None:
        self._done: dict[tuple[str, str], Done] = {}
        self._doubts: dict[tuple[str, str], Doubt] = {}

    def done(self, step: Step, compensate: Compensate | None, output: Any, arguments: Mapping[str, Any]) -> None:
        """The call succeeded: there is no doubt about it any more."""
        self._doubts.pop(step.identity, None)
        if compensate is not None:
            self._done.setdefault(step.identity, Done(step, compensate, output, arguments))

    def doubt(self, step: Step, compensate: Compensate | None, arguments: Mapping[str, Any]) -> None:
        """The call ended without an answer to whether its effect happened."""
        if step.identity not in self._done:
            self._doubts[step.identity] = Doubt(step, compensate, arguments)

    def doubts(self) -> list[Doubt]:
        """The latest first."""
        return list(reversed(self._doubts.values()))

    def backwards(self) -> list[Done]:
        """The latest first."""
        return list(reversed(self._done.values()))
