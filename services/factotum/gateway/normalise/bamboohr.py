"""BambooHR's webhook body: `{"employees": [{"id", "action", "timestamp", "changedFields", "fields"}]}`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, Strict, StringConstraints, TypeAdapter

from factotum.events.envelope import Event
from factotum.gateway.normalise.attributes import is_rfc3339


def _timestamp(value: Any) -> Any:
    if value is None or is_rfc3339(value):
        return value
    raise ValueError("must be an RFC 3339 timestamp with an offset")


# BambooHR writes the number as text; a number says the same, and neither `true` nor `7.0` is one.
_EmployeeId = (
    Annotated[str, Strict(), StringConstraints(strip_whitespace=True, min_length=1)] | Annotated[int, Strict()]
)
_Text = Annotated[str, Strict()]


class _Entry(BaseModel):
    """One employee. What BambooHR may add later is ignored."""

    id: _EmployeeId
    action: Literal["Created", "Updated", "Deleted"]
    timestamp: Annotated[datetime | None, BeforeValidator(_timestamp)] = None
    changedFields: list[_Text] = []
    fields: dict[str, Any] = {}


class _Body(BaseModel):
    employees: list[dict[str, Any]] = Field(min_length=1)


_NUMBERED = TypeAdapter(dict[int, _Entry])


def events(payload: Any, *, source: str, tenant: str) -> Iterator[Event]:
    """One Event an employee, `com.bamboohr.employee.created`, `.updated`, `.deleted`, or `.terminated`
    where the status changed to Inactive. The id is derived from the entry: a redelivery has the same
    one. Each is read when it is asked for. Raises pydantic's `ValidationError`.
    """
    for number, as_sent in enumerate(_Body.model_validate(payload).employees):
        entry = _NUMBERED.validate_python({number: as_sent})[number]  # so that a fault names its number
        yield Event(
            id=_digest(as_sent),
            source=source,
            type=f"com.bamboohr.employee.{_happening(entry)}",
            tenant=tenant,
            subject=str(entry.id),
            time=entry.timestamp,
            datacontenttype="application/json",
            data={
                "employee": {**entry.fields, "id": str(entry.id)},
                "action": entry.action,
                "changedFields": entry.changedFields,
            },
        )


def _happening(entry: _Entry) -> str:
    if entry.action == "Updated" and "status" in entry.changedFields and entry.fields.get("status") == "Inactive":
        return "terminated"
    return entry.action.lower()


def _digest(entry: dict[str, Any]) -> str:
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
