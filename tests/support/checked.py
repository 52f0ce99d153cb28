"""Small documents and what the check says of them, against a few tools that exist nowhere."""

from __future__ import annotations

from factotum.procedures.check import check
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.parse import parse
from factotum.sdk.spec import Effect, Idempotency, ToolSpec

HEAD = "document: {dsl: '1.0.3', namespace: test, name: t, version: '1.0.0'}\n"


def spec(name: str, effect: Effect, properties: dict[str, object], output: dict[str, object]) -> ToolSpec:
    """A tool that must be given all these properties and no others."""
    return ToolSpec(
        name=name,
        version="1.0.0",
        description="",
        effect=effect,
        idempotency=Idempotency.NATIVE,
        input_schema={
            "type": "object",
            "properties": properties,
            "required": sorted(properties),
            "additionalProperties": False,
        },
        output_schema=output,
    )


_TEXT = {"type": "string"}
_PERSON = {
    "type": "object",
    "properties": {"name": _TEXT, "age": {"type": "integer"}, "tags": {"type": "array", "items": _TEXT}},
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
CATALOG = {
    tool.name: tool
    for tool in (
        spec("mail.send", Effect.SEND, {"to": _TEXT, "size": {"type": "integer"}}, {"type": "object"}),
        spec("mail.read", Effect.NONE, {}, {"type": "object"}),
        spec("people.find", Effect.NONE, {"id": _TEXT}, _PERSON),
        ToolSpec(
            name="http.request",
            version="1.0.0",
            description="",
            effect=Effect.EXECUTE,
            idempotency=Idempotency.NONE,
            input_schema={"type": "object", "required": ["method", "endpoint"]},
            output_schema={},
        ),
        ToolSpec(
            name="process.shell",
            version="1.0.0",
            description="",
            effect=Effect.EXECUTE,
            idempotency=Idempotency.NONE,
            input_schema={
                "type": "object",
                "required": ["command", "return"],
                "properties": {"command": _TEXT, "environment": {"type": "object"}, "return": _TEXT, "stdin": _TEXT},
                "additionalProperties": False,
            },
            output_schema={},
        ),
    )
}


def faults_in(text: str) -> list[Fault]:
    """The faults of a document without its head, `document:`."""
    try:
        return check(parse(HEAD + text), CATALOG)
    except FaultyDocument as error:
        return error.faults


def said(text: str) -> list[str]:
    """The faults of a document without its head, each as people read it, without line and column."""
    return [f"{fault.pointer}: {fault.message}. {fault.advice}" for fault in faults_in(text)]
