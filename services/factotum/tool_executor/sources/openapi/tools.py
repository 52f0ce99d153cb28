"""Tools of the catalog, made of an API's operations."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import ValidationError

from factotum.connectors.protocols.egress import Egress
from factotum.connectors.protocols.openapi_calls import Answered, Caller
from factotum.connectors.protocols.openapi_document import Described
from factotum.connectors.protocols.openapi_interface import Interface
from factotum.connectors.protocols.openapi_paging import Paging
from factotum.connectors.protocols.openapi_schema import Schema
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import InvalidArgument, NotFound
from factotum.sdk.spec import Effect, Idempotency, ToolSpec
from factotum.sdk.tool import Function, Tool
from factotum.tool_executor.schema_model import SchemaModel, schema_model
from factotum.tool_executor.sources.openapi.config import ApiSettings, Terms
from factotum.tool_executor.sources.openapi.templates import effect_key, known, marked
from factotum.tool_executor.sources.source import SourceInvalid
from factotum.tool_executor.wrappers.validated import faults

Context = ToolContext[ApiSettings]
_MOST_DESCRIPTION = 500
_EFFECTS = {"POST": Effect.CREATE, "PUT": Effect.UPDATE, "PATCH": Effect.UPDATE, "DELETE": Effect.DELETE}
# RFC 9110 §9.2.2: doing these again changes nothing.
_IDEMPOTENT = frozenset({"PUT", "DELETE"})
_KINDS = {
    "400": "invalid_argument",
    "401": "not_permitted",
    "403": "not_permitted",
    "404": "not_found",
    "409": "conflict",
    "410": "not_found",
    "422": "invalid_argument",
    "429": "rate_limited",
}


class OperationTool(Tool[SchemaModel, SchemaModel, ApiSettings]):
    """A tool whose models are made when it is first called: of a thousand, a run calls a few."""

    def __init__(self, spec: ToolSpec, function: Function[SchemaModel, ApiSettings, SchemaModel]) -> None:
        self.spec = spec
        self.function = function
        self.reconciler = self.receipt_maker = self.narrower = None

    @cached_property
    def arguments(self) -> type[SchemaModel]:  # type: ignore[override]
        return schema_model(f"{self.spec.name} arguments", self.spec.input_schema, checked=True)

    @cached_property
    def output(self) -> type[SchemaModel]:  # type: ignore[override]
        return schema_model(f"{self.spec.name} output", self.spec.output_schema, checked=True)


class Operation:
    """One operation on its terms, as the functions of its tool."""

    def __init__(self, caller: Caller, terms: Terms, *, system: str) -> None:
        self.caller = caller
        self.terms = terms
        self._system = system
        self.tool: OperationTool | None = None

    async def act(self, given: SchemaModel, context: Context) -> SchemaModel:
        assert self.tool is not None
        try:
            answer = await self.answer(self._keyed(given.root, context), context, paging=self.terms.paging)
        except NotFound:
            if not self.terms.absent_is_done:
                raise
            answer = Answered(self.tool.spec.output_schema["properties"]["status"].get("enum", [204])[0], {})
        # What the answer must be was looked at by its own status and content type.
        told = answer.output(paged=self.terms.paging is not None, located=self.terms.reconcile is None)
        return self.tool.output(told)

    async def answer(self, arguments: dict[str, Any], context: Context, *, paging: Paging | None = None) -> Answered:
        """The answer to a call with these arguments, as they are sent."""
        settings = context.settings
        egress = Egress(settings.allow, where=f"allow of the source {self._system}")
        headers = {name: _revealed(value, context) for name, value in settings.headers.items()}
        if paging is not None:
            return await self.caller.all_pages(
                arguments, paging, context, egress=egress, settings=settings, headers=headers
            )
        if self.terms.key_header is not None:
            headers[self.terms.key_header] = effect_key(context)
        return await self.caller.call(arguments, context, egress=egress, settings=settings, headers=headers)

    def _keyed(self, arguments: dict[str, Any], context: Context) -> dict[str, Any]:
        marks: dict[str, str | list[str]] = dict(self.terms.mark)
        if self.terms.key_argument is not None:
            marks[self.terms.key_argument] = "{$key}"
        if not marks:
            return arguments
        assert self.tool is not None
        made = marked(arguments, marks, known(context))
        shape = self.caller.interface.arguments
        if wrong := shape.faults(made):
            raise InvalidArgument(f"with the mark of the effect, the arguments are wrong: {'; '.join(wrong)}")
        return made


def spec(one: Described, interface: Interface, terms: Terms, *, name: str, version: str, seconds: float) -> ToolSpec:
    """What the catalog says of an operation. Raises `SourceInvalid`."""
    effect = effect_of(one, terms)
    seconds = terms.timeout_seconds or seconds
    if terms.reconcile is not None:
        seconds += terms.reconcile.lag_seconds
    try:
        return ToolSpec(
            name=name,
            version=version,
            description=terms.description or _description(one),
            effect=effect,
            idempotency=_idempotency(one, terms, effect),
            input_schema=input_schema(interface, terms),
            output_schema=output_schema(interface, terms),
            timeout_seconds=seconds,
            permissions=terms.permissions or (),
            compensation=terms.compensation,
            errors=_errors(one),
            rate_limit=terms.rate_limit,
            concurrency=terms.concurrency,
        )
    except ValidationError as error:
        raise SourceInvalid(f"{name}: {faults(error)}") from error


def effect_of(one: Described, terms: Terms) -> Effect:
    return terms.effect or _EFFECTS.get(one.method, Effect.NONE)


def input_schema(interface: Interface, terms: Terms) -> Schema:
    """The interface's arguments without those that are given here."""
    schema = interface.input_schema
    given = {place for place in (terms.key_argument,) if place is not None}
    if terms.paging is not None:
        given |= set(terms.paging.own)
    for place in sorted(given):
        schema = _without(schema, place.split("."))
    return schema


def output_schema(interface: Interface, terms: Terms) -> Schema:
    """The interface's answer; less the location where a look-up may find the effect, which does not know it."""
    schema = interface.output_schema
    if terms.reconcile is not None:
        schema = _without(schema, ["location"])
    if terms.paging is None:
        return schema
    told = {"type": "boolean", "description": "False where there is more than was asked for."}
    properties = {**schema["properties"], "complete": told}
    return {**schema, "properties": properties, "required": [*schema.get("required", ()), "complete"]}


def _idempotency(one: Described, terms: Terms, effect: Effect) -> Idempotency:
    if effect is Effect.NONE or terms.key_header is not None or terms.key_argument is not None:
        return Idempotency.NATIVE
    if terms.reconcile is not None:
        return Idempotency.RECONCILE
    return terms.idempotency or (Idempotency.NATIVE if one.method in _IDEMPOTENT else Idempotency.NONE)


def _errors(one: Described) -> tuple[str, ...]:
    responses = one.found.get("responses")
    said = {_KINDS[str(status)] for status in responses or () if str(status) in _KINDS}
    return tuple(sorted(said | {"failed", "invalid_argument", "not_permitted", "rate_limited", "unavailable"}))


def _description(one: Described) -> str:
    text = str(one.found.get("summary") or one.found.get("description") or f"{one.method} {one.path}")
    line = " ".join("".join(c if c.isprintable() else " " for c in text.strip().partition("\n\n")[0]).split())
    return line[:_MOST_DESCRIPTION]


def _without(schema: Schema, place: list[str]) -> Schema:
    """Without a property that is given by another. One that stands behind a reference is left: it may be given."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or place[0] not in properties:
        return schema
    name, rest = place[0], place[1:]
    if rest:
        inner = properties[name]
        return (
            {**schema, "properties": {**properties, name: _without(inner, rest)}} if isinstance(inner, dict) else schema
        )
    made = {**schema, "properties": {other: inner for other, inner in properties.items() if other != name}}
    if "required" in schema:
        made["required"] = [other for other in schema["required"] if other != name]
    return made


def _revealed(value: str, context: Context) -> str:
    return context.secret(value) if value.startswith("secret://") else value
