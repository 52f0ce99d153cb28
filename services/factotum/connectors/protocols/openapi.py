"""Calls of operations that an OpenAPI document describes (`call: openapi`): Swagger 2.0, OpenAPI 3.0 and 3.1."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.protocols import exchange, openapi_document, openapi_request
from factotum.connectors.protocols.authentication import Authentication, http_auth
from factotum.connectors.protocols.egress import EgressSettings, egress
from factotum.connectors.protocols.exchange import Output, Result
from factotum.connectors.protocols.external_resource import ExternalResource, nothing_begun, read
from factotum.connectors.protocols.openapi_document import Operation
from factotum.connectors.protocols.openapi_text import parsed
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous
from factotum.sdk.http import HTTP_ERRORS
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

TIMEOUT_SECONDS = 60.0
_MOST_DOCUMENTS = 100


class OpenapiSettings(EgressSettings):
    document_seconds: float = Field(default=300.0, ge=0, description="How long a document that was read is kept.")


class OpenapiCall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    document: ExternalResource
    operationId: str = Field(min_length=1)
    parameters: dict[str, Any] = Field(
        default={},
        description="Of path, query, header, cookie and form by their names; `body`, or all that is left, is the body.",
    )
    authentication: Authentication | None = None
    output: Output = "content"
    redirect: bool = Field(default=False, description="Follow redirections; otherwise they are errors.")


class Documents:
    """Documents that were read, by tenant and by how they were asked for; the oldest are forgotten."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[datetime, dict[str, Any]]] = OrderedDict()

    async def document(self, resource: ExternalResource, context: ToolContext[OpenapiSettings]) -> dict[str, Any]:
        """Raises `InvalidArgument` for what is no document, and what reading it raises."""
        key = f"{context.tenant}\n{resource.model_dump_json()}"
        kept = self._kept.get(key)
        if kept is not None and context.now() < kept[0]:
            return kept[1]
        document = parsed(await read(resource, context, egress(context, "openapi")), resource.at.uri)
        self._kept[key] = context.now() + timedelta(seconds=context.settings.document_seconds), document
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_DOCUMENTS:
            self._kept.popitem(last=False)
        return document


_DOCUMENTS = Documents()

connector = Connector("openapi", settings=OpenapiSettings)


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=TIMEOUT_SECONDS,
    errors=(*HTTP_ERRORS, Ambiguous),
    examples=[
        Example(
            title="Ask for one pet, by the id in its path",
            arguments={
                "document": {"endpoint": "https://petstore.example.com/openapi.json"},
                "operationId": "getPetById",
                "parameters": {"petId": 7},
            },
            output={"id": 7, "name": "Tom", "status": "available"},
        )
    ],
)
async def call(arguments: OpenapiCall, context: ToolContext[OpenapiSettings]) -> Result:
    """Call an operation that an OpenAPI document describes."""
    with nothing_begun():
        operation = await _operation(arguments, context)
        sending = openapi_request.sending(operation, arguments.parameters)
        reach = egress(context, "openapi")
        auth = await http_auth(arguments.authentication, context, reach, timeout=context.settings.timeout)
    return await exchange.exchange(
        sending,
        auth=auth,
        egress=reach,
        settings=context.settings,
        output=arguments.output,
        redirect=arguments.redirect,
        now=context.now(),
    )


@call.reconcile
async def call_sent(arguments: OpenapiCall, context: ToolContext[OpenapiSettings]) -> Result | None:
    raise exchange.unknowable((await _operation(arguments, context)).method)


@call.narrow
async def call_nature(arguments: OpenapiCall, context: ToolContext[OpenapiSettings]) -> tuple[Effect, Idempotency]:
    operation = await _operation(arguments, context)
    names = [one.name for one in operation.parameters if one.where == "header"]
    return exchange.nature(operation.method, {name: arguments.parameters.get(name) for name in names})


async def _operation(arguments: OpenapiCall, context: ToolContext[OpenapiSettings]) -> Operation:
    document = await _DOCUMENTS.document(arguments.document, context)
    return openapi_document.operation(document, arguments.operationId, address=arguments.document.at.uri)
