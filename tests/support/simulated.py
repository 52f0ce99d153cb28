"""Simulations of short documents."""

from __future__ import annotations

from typing import Any

from factotum.procedures.parse import parse
from factotum.sdk.spec import Effect, Idempotency, ToolSpec
from factotum.simulation.answers import injected
from factotum.simulation.record import Mark, Record
from factotum.simulation.simulation import Scenario, Simulated, simulate

HEAD = "document: {dsl: '1.0.3', namespace: test, name: t, version: '1.0.0'}\n"
TEXT = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": False}


def tool(name: str, output: Any = None, given: Any = None, effect: Effect = Effect.UPDATE) -> ToolSpec:
    return ToolSpec(
        name=name,
        version="1.0.0",
        description="",
        effect=effect,
        idempotency=Idempotency.NATIVE,
        input_schema=given or {"type": "object"},
        output_schema=TEXT if output is None else output,
    )


CATALOG = {name: tool(name) for name in ("x.do", "x.undo", "x.other")} | {
    "x.get": tool("x.get", effect=Effect.NONE),
    "x.any": tool("x.any", output={}),
    "x.maybe": tool("x.maybe", output={"type": ["object", "null"], "additionalProperties": False}),
    "x.list": tool("x.list", output={"type": "array", "items": {"type": "string"}}),
    "x.strict": tool("x.strict", given={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}),
}


def scenario(text: str, given: Any = None, *, fail: tuple[str, ...] = (), **more: Any) -> Scenario:
    raw = parse(HEAD + text).raw
    return Scenario(raw=raw, input=given, catalog=CATALOG, faults=[injected(each) for each in fail], **more)


def simulated(text: str, given: Any = None, **more: Any) -> Simulated:
    return simulate(scenario(text, given, **more))


def marks(record: Record, what: str) -> list[Mark]:
    """All marks of a kind, of what was done and of what was undone."""
    nodes = [*record.root.everything, record.undoing]
    return [each for node in nodes for each in node.inside if isinstance(each, Mark) and each.what == what]
