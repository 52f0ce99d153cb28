"""A document rehearsed before it runs: what goes wrong in it whatever tools answer is its own fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any

from factotum.procedures.check import Catalog
from factotum.procedures.fault import Fault
from factotum.procedures.parse import Source
from factotum.simulation.answers import OF_TYPES
from factotum.simulation.examples import Examples, NoExample, Style
from factotum.simulation.inputs import input_for
from factotum.simulation.record import Node
from factotum.simulation.simulation import START, Scenario, Simulated, simulate
from factotum.workflows import problem

Json = Any

_REHEARSALS: tuple[tuple[int, Style], ...] = ((0, "full"), (1, "many"), (2, "least"), (3, "mixed"))
MOST_CALLS = 300
# More than it takes to find a circle of two tasks endless.
MOST_TASKS = 5_000
_MADE_UP = object()
# jq says so of a value by its type. What stands in a text is not judged: a real one may be a number, or a date.
_OF_TYPES = re.compile(
    r"[Cc]annot (index|iterate over|be (added|subtracted|multiplied|divided|sorted|negated))|has no keys|must give an"
)


def rehearse(
    source: Source,
    catalog: Catalog,
    given: Json = _MADE_UP,
    *,
    documents: Mapping[str, dict[str, Json]] | None = None,
    functions: Mapping[str, dict[str, Json]] | None = None,
) -> list[Fault]:
    """Faults that are certainly the document's: every rehearsal that came to the place failed there.

    Found are expressions that fail on values of that type, arguments of types that a tool refuses, and
    `then` that leads in a circle for ever. Not judged is what a `try` catches, what follows the answer of a
    tool whose schema says nothing of it, and what follows an expression that is not shown to be cheap.
    Some milliseconds for each of four rehearsals, at most 300 calls and 5,000 events of tasks in each.

    Not to be called where an event loop is running.

    Args:
        given: the run's input; without one it is made from the document's schema.
        documents, functions: as in `RunInput`.
    """
    found: dict[str, tuple[Fault, str]] = {}
    passed = set[str]()
    for seed, style in _REHEARSALS:
        examples = Examples(Random(seed), style)  # noqa: S311 - made to be repeated
        try:
            value = input_for(source.document, examples, START) if given is _MADE_UP else given
        except NoExample:
            continue
        simulated = simulate(
            Scenario(
                raw=source.raw,
                input=value,
                catalog=catalog,
                documents=documents or {},
                functions=functions or {},
                seed=seed,
                style=style,
                open=examples.open,
                costly=False,
                most_calls=MOST_CALLS,
                most_tasks=MOST_TASKS,
            )
        )
        failed = _failed(simulated)
        step = "" if failed is None else failed.pointer
        # What was begun and not judged, for the rehearsal was given up in it, might have passed.
        passed |= {
            node.pointer for node in simulated.record.root.everything if node.state not in ("faulted", "skipped")
        }
        message = _own_fault(simulated, failed)
        if message is None or simulated.open:
            # What failed for another reason, or on a value that says nothing, might have passed.
            passed.add(step)
            continue
        pointer = str((simulated.error or {}).get("instance"))
        found.setdefault(pointer, (source.locate(Fault(pointer, message)), step))
    return [fault for fault, step in found.values() if step not in passed]


def _failed(simulated: Simulated) -> Node | None:
    """The task at which the run failed; None if it did not, or before its first or after its last one."""
    error = simulated.error
    if error is None:
        return None
    nodes = [node for node in simulated.record.root.everything if node.state == "faulted"]
    return next(
        (
            node
            for node in reversed(nodes)
            if node.value == error and not any(below.state == "faulted" for below in node.nodes)
        ),
        None,
    )


def _own_fault(simulated: Simulated, failed: Node | None) -> str | None:
    """What the document did wrong; None if it did not fail, or not by its own doing."""
    error = simulated.error
    if error is None or (failed is not None and failed.kind == "raise"):
        return None
    detail = error["detail"]
    if error["type"] == problem.EXPRESSION:
        return f"fails whatever the tools answer: {detail}" if _OF_TYPES.search(detail) else None
    if failed is not None and simulated.refused.get(failed.pointer) in OF_TYPES and error["type"] == problem.VALIDATION:
        return f"is refused whatever the tools answer: {detail}"
    if error["type"] == problem.RUNTIME and error["title"] in ("endless loop", "nested too deep"):
        return f"{error['title']}: {detail}"
    return None
