"""A Standard Webhooks body: `{"type", "timestamp", "data"}`, of which only the type is required."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from factotum.events.envelope import Event
from factotum.gateway.normalise.attributes import is_rfc3339


def events(payload: Any, *, source: str, tenant: str, message_id: str) -> Iterator[Event]:
    """One Event whose id is the (signed) webhook-id, the same for every redelivery. Its data is the
    body's `data`, or the whole body where there is none. Raises pydantic's `ValidationError`.
    """
    body = payload if isinstance(payload, dict) else {}
    moment = body.get("timestamp")
    yield Event.model_validate(
        {
            "id": message_id,
            "source": source,
            "type": body.get("type"),
            "tenant": tenant,
            "time": moment if is_rfc3339(moment) else None,
            "datacontenttype": "application/json",
            "data": body.get("data", body),
        }
    )
