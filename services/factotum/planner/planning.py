"""Which procedures an event starts, and the plan of each. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from factotum.events.envelope import Event
from factotum.planner.preparation import Prepared
from factotum.procedures import expressions
from factotum.procedures.consumption import EventFilter
from factotum.procedures.parse import Source
from factotum.runs.identity import run_id
from factotum.workflows.contract import EventReference, RunInput

# A text of nothing else is meant as it stands: in `com.acme.created` no dot stands for any character.
_LITERAL = re.compile(r"[\w.\-/:]*")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, under which id.

    Attributes:
        uses: every procedure that the run may start, its own included.
    """

    run_id: str
    source: Source
    run: RunInput
    uses: tuple[Source, ...] = ()


def matching(event: Event, sources: Iterable[Source]) -> list[Source]:
    """The procedures whose `schedule.on` takes this event, in their order."""
    attributes = event.model_dump(mode="json", exclude_none=True)
    return [
        source
        for source in sources
        if source.document.schedule is not None
        and source.document.schedule.on is not None
        and any(takes(wanted, attributes) for wanted in source.document.schedule.on.filters)
    ]


def takes(wanted: EventFilter, attributes: Mapping[str, Any]) -> bool:
    """Whether an event has every attribute that a filter names.

    A text is compared as it is, and if it holds a character other than letters, digits and `.-_/:`
    also as a regular expression over the whole value; `${ … }` is evaluated on the value; an object
    is compared property by property. Source: DSL 1.0.3, "Event Filter". An expression that fails on
    this event does not take it.
    """
    return all(name in attributes and _agrees(expected, attributes[name]) for name, expected in wanted.with_.items())


def _agrees(expected: Any, actual: Any) -> bool:
    if isinstance(expected, Mapping):
        return isinstance(actual, Mapping) and all(
            key in actual and _agrees(inner, actual[key]) for key, inner in expected.items()
        )
    if not isinstance(expected, str):
        return bool(expected == actual)
    if "${" in expected:
        try:
            return expressions.truthy(expressions.evaluate(expected, actual, {}))
        except expressions.ExpressionError:
            return False
    if expected == actual:
        return True
    if _LITERAL.fullmatch(expected):
        return False
    try:
        return isinstance(actual, str) and re.fullmatch(expected, actual) is not None
    except re.error:
        return False


def plan(event: Event, prepared: Prepared) -> Plan:
    """The plan of one procedure for one event."""
    procedure = prepared.source.document.full_name
    return Plan(
        run_id=run_id(tenant=event.tenant, source=event.source, event_id=event.id, procedure=procedure),
        source=prepared.source,
        run=prepared.run(
            tenant=event.tenant,
            # The input of an event-driven run is the array of the events that started it (DSL 1.0.3).
            given=[event.model_dump(mode="json", exclude_none=True)],
            event=EventReference(source=event.source, id=event.id, type=event.type),
        ),
        uses=prepared.uses,
    )
