"""BambooHR's webhook body: `{"employees": [{"id", "action", "timestamp", "changedFields", "fields"}]}`."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from factotum.events.envelope import Event


class _Entry(BaseModel):
    """One employee. What BambooHR may add later is ignored."""

    id: str | int
    action: Literal["Created", "Updated", "Deleted"]
    timestamp: datetime | None = None
    changedFields: list[str] = []
    fields: dict[str, Any] = {}


class _Body(BaseModel):
    employees: list[dict[str, Any]] = Field(min_length=1)


_ENTRIES = TypeAdapter(list[_Entry])


def events(payload: Any, *, source: str, tenant: str) -> list[Event]:
    """One Event an employee, `com.bamboohr.employee.created`, `.updated`, `.deleted`, or `.terminated`
    where the status changed to Inactive. The id is derived from the entry: a redelivery has the same
    one, and an entry given twice is one Event. Raises pydantic's `ValidationError`.
    """
    raw = _Body.model_validate(payload).employees
    entries = _ENTRIES.validate_python(raw)
    found = {}
    for entry, as_sent in zip(entries, raw, strict=True):
        event = Event(
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
        found[event.id] = event
    return list(found.values())


def _happening(entry: _Entry) -> str:
    if entry.action == "Updated" and "status" in entry.changedFields and entry.fields.get("status") == "Inactive":
        return "terminated"
    return entry.action.lower()


def _digest(entry: dict[str, Any]) -> str:
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
