"""What is told to the rest of the house about a call: an event on `factotum.observations`. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from opentelemetry import propagate
from pydantic_core import from_json

from factotum.events.envelope import Event
from factotum.events.types import OBSERVATION_TYPE, ObservationData, ObservedError
from factotum.tool_executor.calls import Answer, Call
from factotum.tool_executor.ledger import Publication

SOURCE = "/tool-executor"
# A request to Kafka takes 1 MiB with key and headers.
MAX_BYTES = 900_000

_SECRET = re.compile(r"password|passwd|passphrase|token|secret|apikey|credential|privatekey|authorization")
_SEPARATORS = re.compile(r"[-_.\s]")


def publication(call: Call, answer: Answer, *, attempt: int | None) -> Publication:
    """The observation of one attempt, in the current trace. Its id is derived from tenant, key and
    attempt, so that one published twice is one; from the time of the start where nothing is counted.

    Fields named like secrets are dropped, and so is what does not fit into a message.
    """
    which = call.started_at.isoformat() if attempt is None else str(attempt)
    parts = (call.tenant, call.key, call.tool.spec.name, call.origin.run_id, call.origin.step, which)
    data = _data(call, answer)
    value = b""
    lighter: tuple[dict[str, Any], ...] = (
        {},
        {"output": None, "note": "too large to be kept whole"},
        {"arguments": {}},
    )
    for without in lighter:
        data = data.model_copy(update=without)
        event = Event(
            id=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32],
            source=SOURCE,
            type=OBSERVATION_TYPE,
            tenant=call.tenant,
            subject=call.origin.run_id or None,
            time=answer.ended_at,
            data=data.model_dump(mode="json"),
        )
        value = event.to_bytes()
        if len(value) <= MAX_BYTES:
            break
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return Publication(
        message_key=f"{event.tenant}/{event.subject or event.id}",
        value=value,
        traceparent=carrier.get("traceparent", ""),
    )


def without_secrets(value: Any) -> Any:
    """The same JSON value without the fields whose names say that they hold a secret."""
    if isinstance(value, dict):
        return {
            name: without_secrets(inner)
            for name, inner in value.items()
            if not _SECRET.search(_SEPARATORS.sub("", name.lower()))
        }
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value


def _data(call: Call, answer: Answer) -> ObservationData:
    spec, origin, error = call.tool.spec, call.origin, answer.error
    arguments = _read(call.arguments_json)
    return ObservationData(
        tool=spec.name,
        tool_version=answer.tool_version,
        effect=spec.effect.value,
        run_id=origin.run_id,
        step=origin.step,
        iteration=origin.iteration,
        procedure=origin.procedure,
        arguments=arguments if isinstance(arguments, dict) else {},
        output=None if answer.output_json is None else _read(answer.output_json),
        error=None
        if error is None
        else ObservedError(kind=error.kind, message=error.message, retryable=error.retryable),
        started_at=call.started_at,
        ended_at=answer.ended_at,
    )


def _read(text: str) -> Any:
    try:
        return without_secrets(from_json(text))
    except ValueError:  # arguments that were refused for not being JSON
        return None
