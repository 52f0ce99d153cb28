"""A tool's contract as a message, and back: for the tool executor, and for whoever asks it for its catalog."""

from __future__ import annotations

import json

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency, RateLimit, SecretNeed, ToolSpec


def message_of(spec: ToolSpec, *, source: str, schemas: bool = True, settings: bool = True) -> pb.Tool:
    """`source` says where the tool comes from; without `schemas` those of the arguments and the output are empty.

    Args:
        settings: whether the tenant has what its calls are given.
    """
    undo, limit = spec.compensation, spec.rate_limit
    return pb.Tool(
        name=spec.name,
        version=spec.version,
        description=spec.description,
        effect=pb.Effect.Value(f"EFFECT_{spec.effect.name}"),
        idempotency=pb.Idempotency.Value(f"IDEMPOTENCY_{spec.idempotency.name}"),
        input_schema_json=_text(spec.input_schema) if schemas else "",
        output_schema_json=_text(spec.output_schema) if schemas else "",
        timeout_seconds=spec.timeout_seconds,
        permissions=spec.permissions,
        secrets=[
            pb.SecretNeed(name=need.name, description=need.description, delegated=need.delegated)
            for need in spec.secrets
        ],
        compensation=pb.Compensation(call=undo.call, arguments_json=_text(undo.arguments)) if undo else None,
        errors=[pb.ErrorKind.Value(f"ERROR_KIND_{kind.upper()}") for kind in spec.errors],
        rate_limit=pb.RateLimit(calls=limit.calls, seconds=limit.seconds) if limit else None,
        concurrency=spec.concurrency or 0,
        examples=[
            pb.Example(
                title=example.title,
                arguments_json=_text(example.arguments),
                output_json="" if example.output is None else _text(example.output),
            )
            for example in spec.examples
        ],
        source=source,
        sandbox=spec.sandbox,
        without_settings=not settings,
    )


def spec_of(tool: pb.Tool) -> ToolSpec:
    """What `message_of` made the message of; without its schemas, with empty ones."""
    return ToolSpec(
        name=tool.name,
        version=tool.version,
        description=tool.description,
        effect=Effect(pb.Effect.Name(tool.effect).removeprefix("EFFECT_").lower()),
        idempotency=Idempotency(pb.Idempotency.Name(tool.idempotency).removeprefix("IDEMPOTENCY_").lower()),
        input_schema=json.loads(tool.input_schema_json or "{}"),
        output_schema=json.loads(tool.output_schema_json or "{}"),
        timeout_seconds=tool.timeout_seconds,
        permissions=tuple(tool.permissions),
        secrets=tuple(
            SecretNeed(name=need.name, description=need.description, delegated=need.delegated) for need in tool.secrets
        ),
        compensation=Compensation(
            call=tool.compensation.call, arguments=json.loads(tool.compensation.arguments_json or "{}")
        )
        if tool.HasField("compensation")
        else None,
        errors=tuple(pb.ErrorKind.Name(kind).removeprefix("ERROR_KIND_").lower() for kind in tool.errors),
        rate_limit=RateLimit(calls=tool.rate_limit.calls, seconds=tool.rate_limit.seconds)
        if tool.HasField("rate_limit")
        else None,
        concurrency=tool.concurrency or None,
        sandbox=tool.sandbox,
        examples=tuple(
            Example(
                title=example.title,
                arguments=json.loads(example.arguments_json or "{}"),
                output=json.loads(example.output_json) if example.output_json else None,
            )
            for example in tool.examples
        ),
    )


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
