"""Which procedures an event starts, and the plan of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factotum.events.envelope import Event
from factotum.events.reserved import ACTS_FOR
from factotum.planner.preparation import Prepared
from factotum.procedures.event_matching import correlation_keys, takes
from factotum.procedures.expressions import Costly
from factotum.procedures.parse import Source
from factotum.runs.identity import run_id, run_id_of_all
from factotum.workflows.contract import EventReference, RunInput

# The extension attribute that says how many runs in a row led to an event, and how many may: a circle of
# procedures that start each other ends there.
HOPS = "factotumhops"
MOST_HOPS = 16
LONGEST_USER = 256

# What the origin of a call may not hold either.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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


@dataclass(frozen=True, slots=True)
class Offer:
    """A filter that takes an event, by its place among those of the procedure, and the values that tie the
    event to others."""

    slot: int
    keys: Mapping[str, Any]


async def offers(attributes: Mapping[str, Any], source: Source, costly: Costly) -> list[Offer]:
    """The filters of a procedure's `schedule.on` that take an event with these attributes."""
    schedule = source.document.schedule
    if schedule is None or schedule.on is None:
        return []
    found = []
    for slot, wanted in enumerate(schedule.on.filters):
        if await takes(wanted, attributes, {}, costly):
            keys = await correlation_keys(wanted, attributes, value=attributes, arguments={}, costly=costly)
            if keys is not None:
                found.append(Offer(slot, keys))
    # `any: []` is every event.
    return [Offer(0, {})] if schedule.on.any == () else found


def hops_of(event: Event) -> int:
    """How many runs in a row led to the event; 0 for one from outside."""
    text = str(event.extensions.get(HOPS, 0))
    if not (text.isascii() and text.isdecimal()):
        return 0
    return int(text) if len(text) <= len(str(MOST_HOPS)) else MOST_HOPS + 1


def acts_for(events: Iterable[Event]) -> str:
    """The person for whom a run acts that these events start: whom all of them name; empty: nobody."""
    named = {event.extensions.get(ACTS_FOR, "") for event in events}
    user = named.pop() if len(named) == 1 else ""
    return user if isinstance(user, str) and can_be_user(user) else ""


def can_be_user(user: str) -> bool:
    return len(user) <= LONGEST_USER and not _CONTROL.search(user)


def run_of(events: Sequence[tuple[str, str]], source: Source, tenant: str) -> str:
    """The id of the run that these events, each by source and id, start: of one event, or of all together."""
    procedure, schedule = source.document.full_name, source.document.schedule
    if schedule is not None and schedule.on is not None and schedule.on.all is not None:
        return run_id_of_all(tenant=tenant, events=events, procedure=procedure)
    ((event_source, event_id),) = events
    return run_id(tenant=tenant, source=event_source, event_id=event_id, procedure=procedure)


def plan(events: Sequence[Event], prepared: Prepared) -> Plan:
    """The plan of one procedure for the events that start it, in the order of its filters.

    The run is named after the first of them, and is as many runs away from the outside as the farthest.
    """
    first = events[0]
    return Plan(
        run_id=run_of([(event.source, event.id) for event in events], prepared.source, first.tenant),
        source=prepared.source,
        run=prepared.run(
            tenant=first.tenant,
            # The input of an event-driven run is the array of the events that started it (DSL 1.0.3).
            given=[event.model_dump(mode="json", exclude_none=True) for event in events],
            event=EventReference(source=first.source, id=first.id, type=first.type),
            hops=max(map(hops_of, events)),
            user=acts_for(events),
        ),
        uses=prepared.uses,
    )
