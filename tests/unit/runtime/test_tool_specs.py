"""A tool's contract comes back from its message whole."""

from __future__ import annotations

import pytest

from factotum.runtime.tool_specs import message_of, spec_of
from factotum.sdk.errors import KINDS
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency, RateLimit, SecretNeed, ToolSpec
from factotum.tool_executor import registry

FULL = ToolSpec(
    name="desk.open_ticket",
    version="2.1.0",
    description="Open a ticket — größer.",
    effect=Effect.CREATE,
    idempotency=Idempotency.RECONCILE,
    input_schema={"type": "object", "properties": {"títle": {"type": "string"}}},
    output_schema={"type": "object"},
    timeout_seconds=12.5,
    permissions=("desk.create", "desk.vip"),
    secrets=(SecretNeed(name="desk-key", description="of the API", delegated=True), SecretNeed(name="other")),
    compensation=Compensation(call="desk.close_ticket", arguments={"id": "${ .id }"}),
    errors=tuple(KINDS),
    rate_limit=RateLimit(calls=3, seconds=0.5),
    concurrency=2,
    sandbox=True,
    examples=(
        Example(title="one", arguments={"títle": "x"}, output={}),
        Example(title="two", arguments={"títle": "y"}),
    ),
)


@pytest.mark.parametrize("spec", [FULL, *(tool.spec for tool in registry.load(None).tools)], ids=lambda spec: spec.name)
def test_there_and_back(spec: ToolSpec) -> None:
    assert spec_of(message_of(spec, source="installed")) == spec


def test_every_field_of_the_contract_is_in_the_message() -> None:
    defaults = ToolSpec(
        name=FULL.name,
        version=FULL.version,
        description="",
        effect=FULL.effect,
        idempotency=FULL.idempotency,
        input_schema={},
        output_schema={},
    )
    same = {name for name in ToolSpec.model_fields if getattr(FULL, name) == getattr(defaults, name)}
    assert same == {"name", "version", "effect", "idempotency"}, "give the new field of the contract a value above"


def test_without_schemas() -> None:
    bare = spec_of(message_of(FULL, source="openapi", schemas=False))
    assert bare == FULL.model_copy(update={"input_schema": {}, "output_schema": {}})
