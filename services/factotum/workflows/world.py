"""The world as a run may touch it: one port, on Temporal and in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from factotum.workflows.compensation import Done, Doubt
from factotum.workflows.step import Step

Json = Any

# What every world does alike with a call that fails. Of the retryable kinds of tool error, a `try` is shown these
# at once. An ambiguous effect is not among them: only a person can settle it, and trying again is how the run
# waits for that.
SHOWN_TO_TRY = ("unavailable", "rate_limited")
# Seconds before the second try, doubled each time up to the longest.
FIRST_INTERVAL = 0.2
LONGEST_INTERVAL = 10.0
# Runs nested deeper than this are taken for endless.
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Child:
    """A run nested in this one.

    Attributes:
        reference: namespace/name:version.
        wait: False where nobody waits for its end.
        attempt: how many runs of this step failed before, each of which undid what it did: another run, with
            effects of its own.
    """

    pointer: str
    iteration: str
    reference: str
    document: dict[str, Json]
    input: Json
    summary: str
    wait: bool
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ChildResult:
    """What became of a nested run: its output, and what it did, to be undone with the run around it."""

    run_id: str
    output: Json
    done: list[Done]
    doubts: list[Doubt] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """What happened to a task, for who watches a run in memory.

    Attributes:
        phase: `started`, `skipped`, `completed`, `faulted`, `caught`, `retried` or `ended` (from outside).
        value: the input of a started task, the output of a completed one, the problem of a faulted one.
        branch: which way a `switch` went.
    """

    pointer: str
    iteration: str
    kind: str
    phase: str
    value: Json = None
    branch: str = ""


Observe = Callable[[TaskEvent], None]


class Effects(Protocol):
    """Everything that touches the world, or that could differ between a run and its replay."""

    async def call(self, step: Step) -> Json:
        """The tool's output. Raises `Problem`."""

    async def sleep(self, seconds: float) -> None: ...

    async def rest(self) -> None:
        """Lets go of the worker for a moment, and holds the run up for as little."""

    def now(self) -> datetime:
        """The time, in UTC; the same on every replay."""

    def random(self) -> float:
        """Something from 0 up to 1; the same on every replay."""

    async def evaluate(self, program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
        """A program's value, within bounds of time and memory. Raises `ExpressionError`."""

    async def emit(self, event: dict[str, Json], summary: str) -> None:
        """Publishes a CloudEvent. Raises `Problem`."""

    async def run_child(self, child: Child) -> ChildResult:
        """Runs a nested document. Raises `Problem`."""

    def should_move(self) -> bool:
        """Whether the run should go on in another execution, for its history has grown long."""
