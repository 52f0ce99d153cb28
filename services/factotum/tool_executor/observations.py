"""What is told to the rest of the house about a call: an event on `factotum.observations`. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json

from factotum.events.redaction import may_name_secrets, without_secrets
from factotum.events.types import OBSERVATION_TYPE
from factotum.runtime import telemetry
from factotum.sdk.errors import NotDone
from factotum.sdk.spec import Effect
from factotum.tool_executor.calls import Answer, Call, Origin
from factotum.tool_executor.errors import presentable
from factotum.tool_executor.ledger import Entry, Publication

Json = Any

SOURCE = "/tool-executor"
# A request to Kafka takes 1 MiB with key and headers.
MAX_BYTES = 900_000


def publication(call: Call, answer: Answer, *, attempt: int | None) -> Publication:
    """The observation of one attempt, in the current trace. Its id is derived from tenant, key and
    attempt, so that one published twice is one; from the time of the start where nothing is counted.

    Fields named like secrets are dropped, and so is what does not fit into a message.
    """
    which = call.started_at.isoformat() if attempt is None else str(attempt)
    spec, origin, error = call.tool.spec, call.origin, answer.error
    parts = (call.tenant, call.key, spec.name, origin.run_id, origin.step, which)
    data = _data(
        tool=spec.name,
        tool_version=answer.tool_version,
        effect=spec.effect.value,
        origin=origin,
        arguments_json=call.arguments_json,
        output_json=answer.output_json,
        error=None if error is None else {"kind": error.kind, "message": error.message, "retryable": error.retryable},
        note="",
        started_at=call.started_at,
        ended_at=answer.ended_at,
    )
    return _published(call.tenant, parts, data)


def resolution(
    entry: Entry, *, effect: Effect | None, output_json: str | None, reason: str, now: datetime
) -> Publication:
    """The observation that a person said of an ambiguous effect whether it happened.

    Args:
        effect: of the entry's tool; None if no connector has the tool any more.
        output_json: None: it did not happen.
    """
    did = "did not happen" if output_json is None else "happened"
    message = f"a person found that it {did}"
    data = _data(
        tool=entry.tool,
        tool_version=entry.tool_version,
        effect="unknown" if effect is None else effect.value,
        origin=entry.origin,
        arguments_json=entry.arguments_json or "{}",
        output_json=output_json,
        error={"kind": NotDone.kind, "message": message, "retryable": NotDone.retryable}
        if output_json is None
        else None,
        note=f"A person decided that the effect {did}: {presentable(reason) or 'no reason was given'}.",
        started_at=entry.started_at,
        ended_at=now,
    )
    parts = (entry.tenant, entry.key, entry.tool, entry.origin.run_id, entry.origin.step, f"{entry.attempts} resolved")
    return _published(entry.tenant, parts, data)


def _data(
    *,
    tool: str,
    tool_version: str,
    effect: str,
    origin: Origin,
    arguments_json: str,
    output_json: str | None,
    error: dict[str, Json] | None,
    note: str,
    started_at: datetime,
    ended_at: datetime,
) -> dict[str, Json]:
    """An `ObservationData` as it is written. The model itself is made where one is read: to check here what was put
    together here takes as long as the rest of an observation."""
    # Asked of both at once: that takes a tenth of the time that an observation does.
    clean = may_name_secrets(arguments_json + (output_json or ""))
    arguments = _read(arguments_json, clean=clean)
    return {
        "tool": tool,
        "tool_version": tool_version,
        "effect": effect,
        "run_id": origin.run_id,
        "step": origin.step,
        "iteration": origin.iteration,
        "procedure": origin.procedure,
        "arguments": arguments if isinstance(arguments, dict) else {},
        "output": None if output_json is None else _read(output_json, clean=clean),
        "error": error,
        "replayed": False,
        "note": note,
        "started_at": started_at,
        "ended_at": ended_at,
    }


def _published(tenant: str, parts: tuple[str, ...], data: dict[str, Json]) -> Publication:
    """The event; its id is derived from `parts`, which make the observation this one."""
    name = hashlib.sha256("\n".join(parts).encode(), usedforsecurity=False).hexdigest()[:32]
    value = _event(tenant, name, data)
    if len(value) > MAX_BYTES:
        large = "too large to be kept whole"
        note = f"{data['note']} ({large})" if data["note"] else large
        lighter: tuple[dict[str, Json], ...] = ({"output": None, "note": note}, {"arguments": {}})
        for without in lighter:
            data |= without
            value = _event(tenant, name, data)
            if len(value) <= MAX_BYTES:
                break
    return Publication(
        message_key=f"{tenant}/{data['run_id'] or name}", value=value, traceparent=telemetry.traceparent()
    )


def _event(tenant: str, name: str, data: dict[str, Json]) -> bytes:
    """The bytes of the `Event`, likewise."""
    subject = {"subject": data["run_id"]} if data["run_id"] else {}
    envelope = {
        "specversion": "1.0",
        "id": name,
        "source": SOURCE,
        "type": OBSERVATION_TYPE,
        "tenant": tenant,
        **subject,
        "time": data["ended_at"],
        "data": data,
    }
    return to_json(envelope, inf_nan_mode="null")


def _read(text: str, *, clean: bool) -> Json:
    try:
        value = from_json(text)
    except ValueError:  # arguments that were refused for not being JSON
        return None
    return without_secrets(value) if clean else value
