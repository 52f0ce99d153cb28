"""What is told to the rest of the house about a call: an event on `factotum.observations`. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from factotum.events.envelope import Event
from factotum.events.redaction import without_secrets
from factotum.events.types import OBSERVATION_TYPE, ObservationData, ObservedError
from factotum.runtime import telemetry
from factotum.sdk.errors import NotDone
from factotum.sdk.spec import Effect
from factotum.tool_executor.calls import Answer, Call
from factotum.tool_executor.errors import presentable
from factotum.tool_executor.ledger import Entry, Publication

SOURCE = "/tool-executor"
# A request to Kafka takes 1 MiB with key and headers.
MAX_BYTES = 900_000


def publication(call: Call, answer: Answer, *, attempt: int | None) -> Publication:
    """The observation of one attempt, in the current trace. Its id is derived from tenant, key and
    attempt, so that one published twice is one; from the time of the start where nothing is counted.

    Fields named like secrets are dropped, and so is what does not fit into a message.
    """
    which = call.started_at.isoformat() if attempt is None else str(attempt)
    parts = (call.tenant, call.key, call.tool.spec.name, call.origin.run_id, call.origin.step, which)
    return _published(call.tenant, parts, _data(call, answer))


def resolution(
    entry: Entry, *, effect: Effect | None, output_json: str | None, reason: str, now: datetime
) -> Publication:
    """The observation that a person said of an ambiguous effect whether it happened.

    Args:
        effect: of the entry's tool; None if no connector has the tool any more.
        output_json: None: it did not happen.
    """
    did = "did not happen" if output_json is None else "happened"
    arguments = _read(entry.arguments_json or "{}")
    data = ObservationData(
        tool=entry.tool,
        tool_version=entry.tool_version,
        effect="unknown" if effect is None else effect.value,
        run_id=entry.origin.run_id,
        step=entry.origin.step,
        iteration=entry.origin.iteration,
        procedure=entry.origin.procedure,
        arguments=arguments if isinstance(arguments, dict) else {},
        output=None if output_json is None else _read(output_json),
        error=ObservedError(kind=NotDone.kind, message=f"a person found that it {did}", retryable=NotDone.retryable)
        if output_json is None
        else None,
        note=f"A person decided that the effect {did}: {presentable(reason) or 'no reason was given'}.",
        started_at=entry.started_at,
        ended_at=now,
    )
    parts = (entry.tenant, entry.key, entry.tool, entry.origin.run_id, entry.origin.step, f"{entry.attempts} resolved")
    return _published(entry.tenant, parts, data)


def _published(tenant: str, parts: tuple[str, ...], data: ObservationData) -> Publication:
    """The event; its id is derived from `parts`, which make the observation this one."""
    event = _event(tenant, parts, data)
    value = event.to_bytes()
    if len(value) > MAX_BYTES:
        large = "too large to be kept whole"
        note = f"{data.note} ({large})" if data.note else large
        lighter: tuple[dict[str, Any], ...] = ({"output": None, "note": note}, {"arguments": {}})
        for without in lighter:
            data = data.model_copy(update=without)
            value = _event(tenant, parts, data).to_bytes()
            if len(value) <= MAX_BYTES:
                break
    key = f"{tenant}/{event.subject or event.id}"
    return Publication(message_key=key, value=value, traceparent=telemetry.traceparent())


def _event(tenant: str, parts: tuple[str, ...], data: ObservationData) -> Event:
    return Event(
        id=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32],
        source=SOURCE,
        type=OBSERVATION_TYPE,
        tenant=tenant,
        subject=data.run_id or None,
        time=data.ended_at,
        data=data.model_dump(mode="json"),
    )


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
