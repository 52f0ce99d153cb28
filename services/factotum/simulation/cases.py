"""Cases: what a document meets, and how it must end."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from typing import Any, Literal

from pydantic import Field

from factotum.procedures.shapes import Closed
from factotum.simulation.report import done, what
from factotum.simulation.simulation import Simulated

Json = Any


class AnyOrder(Closed):
    any_order: tuple[str, ...]


class Expectation(Closed):
    """How a simulation must end; what is not named may be anything.

    `error`: every property named here. `effects`: the tools that changed something and `emit TYPE` for events,
    those that undo left out. `undone`: the steps that were undone, the latest first. `left`: the steps that
    are left to a person.
    """

    status: Literal["completed", "failed", "waiting"] = "completed"
    output: Json = None
    error: dict[str, Json] = Field(default={})
    effects: tuple[str, ...] | AnyOrder | None = None
    undone: tuple[str, ...] | AnyOrder | None = None
    left: tuple[str, ...] | AnyOrder | None = None

    @property
    def wants_output(self) -> bool:
        return "output" in self.model_fields_set


class Case(Closed):
    """One test of a document.

    `procedure`: a path from the case's file, or namespace/name, with `:version` if not the newest. `input` may
    be left out: then it is made up. `observations`: a list, or the path of a file that holds one. The others are
    as the options of `factotum procedures simulate`.
    """

    procedure: str
    input: Json = None
    events: tuple[dict[str, Json], ...] = ()
    observations: tuple[dict[str, Json], ...] | str = ()
    fail: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0)
    expect: Expectation = Expectation()

    @property
    def has_input(self) -> bool:
        return "input" in self.model_fields_set


def differences(expected: Expectation, simulated: Simulated) -> list[str]:
    """What is not as it must be, in lines; empty if nothing."""
    found: list[str] = []
    if simulated.status != expected.status:
        failure = f": {simulated.ending.failure}" if simulated.ending is not None else ""
        waits = "".join(f"; {node.pointer} {reason}" for node, reason in simulated.waits)
        found.append(f"status: expected {expected.status}, found {simulated.status}{failure}{waits}")
    if expected.wants_output:
        found += _difference("output", expected.output, simulated.output)
    if expected.error:
        error = simulated.error or {}
        found += _difference("error", expected.error, {name: error.get(name) for name in expected.error})
    ending = simulated.ending
    tasks = [task.step for task in ending.tasks] if ending is not None else []
    for name, wanted, actual in (
        ("effects", expected.effects, [what(each) for each in done(simulated)]),
        ("undone", expected.undone, ending.compensated if ending is not None else []),
        ("left", expected.left, tasks),
    ):
        if isinstance(wanted, AnyOrder):
            if Counter(wanted.any_order) != Counter(actual):
                found += _difference(f"{name} in any order", sorted(wanted.any_order), sorted(actual))
        elif wanted is not None:
            found += _difference(name, list(wanted), actual)
    return found


def _difference(name: str, expected: Json, actual: Json) -> list[str]:
    if expected == actual:
        return []
    left, right = (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) for value in (expected, actual))
    lines = list(difflib.ndiff(left.splitlines(), right.splitlines()))
    return [f"{name}: - expected, + found", *(f"  {line}" for line in lines if not line.startswith("?"))]
