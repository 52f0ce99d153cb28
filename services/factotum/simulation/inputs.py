"""What a run is given when nobody says it: made from the input's schema and from the events that start it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rstr import Rstr

from factotum.procedures.consumption import EventConsumption
from factotum.procedures.event_matching import constant_part, is_literal
from factotum.procedures.model import Document
from factotum.simulation.examples import Examples

Json = Any


def input_for(document: Document, examples: Examples, start: datetime) -> Json:
    """An input that the document's schema takes: for one that events start, the array of those events.

    Without a schema it is an empty object, and `examples.open` is set. Raises `NoExample`.
    """
    holder = document.input.schema_
    schema = holder.document if holder is not None else None
    if document.schedule is not None and document.schedule.on is not None:
        return _events(document.schedule.on, schema, examples, start)
    if schema is None:
        examples.open = True
        return {}
    return examples.of(schema, "input")


def _events(
    wanted: EventConsumption, schema: Mapping[str, Json] | None, examples: Examples, start: datetime
) -> list[Json]:
    filters = wanted.filters if wanted.all is not None else wanted.filters[:1]
    count = max(1, len(filters))
    made: list[Json] = []
    if schema is not None:
        found = examples.of({**schema, "minItems": count, "maxItems": count}, "events")
        made = found if isinstance(found, list) else []
    events = []
    for index in range(count):
        envelope = {
            "specversion": "1.0",
            "id": f"event-{index + 1}",
            "source": "/simulation",
            "type": "com.example.event",
            "time": start.isoformat(),
        }
        fixed = _texts(constant_part(filters[index].with_), examples) if filters else {}
        body = made[index] if index < len(made) and isinstance(made[index], dict) else {}
        if "data" not in body:
            examples.open = True
            body = {**body, "data": {}}
        events.append({**envelope, **body, **fixed})
    return events


def _texts(constants: Mapping[str, Json], examples: Examples) -> dict[str, Json]:
    """The attributes that a filter wants, a text that is a pattern replaced by one that it matches."""
    found: dict[str, Json] = {}
    for name, value in constants.items():
        if isinstance(value, Mapping):
            found[name] = _texts(value, examples)
        elif isinstance(value, str) and not is_literal(value):
            found[name] = Rstr(examples.dice).xeger(value)
        else:
            found[name] = value
    return found
