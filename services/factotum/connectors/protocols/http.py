"""Calls over HTTP as DSL 1.0.3 writes them (`call: http`). What may be reached, the tenant's settings allow."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.protocols import exchange
from factotum.connectors.protocols.authentication import http_auth
from factotum.connectors.protocols.egress import EgressSettings, egress
from factotum.connectors.protocols.exchange import Output, Result, Sending
from factotum.connectors.protocols.external_resource import Endpoint, endpoint
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous
from factotum.sdk.http import HTTP_ERRORS
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

TIMEOUT_SECONDS = 60.0

HttpSettings = EgressSettings


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    method: str = Field(pattern=r"^[A-Za-z]{1,20}$", description="In any case.")
    endpoint: str | Endpoint
    headers: dict[str, str | int | float | bool | None] = {}
    body: Any = Field(default=None, description="A text is sent as it is, all else as JSON or, if so typed, as a form.")
    query: dict[str, Any] = Field(default={}, description="Takes the place of parameters of the same name.")
    output: Output = "content"
    redirect: bool = Field(default=False, description="Follow redirections; otherwise they are errors.")


connector = Connector("http", settings=HttpSettings)


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=TIMEOUT_SECONDS,
    errors=(*HTTP_ERRORS, Ambiguous),
    examples=[
        Example(
            title="Ask for a record",
            arguments={"method": "get", "endpoint": "https://erp.example.com/orders/7", "query": {"fields": "status"}},
            output={"status": "delivered"},
        ),
        Example(
            title="Order, so that the system knows a repetition by its key",
            arguments={
                "method": "post",
                "endpoint": {
                    "uri": "https://erp.example.com/orders",
                    "authentication": {"bearer": {"use": "erp-token"}},
                },
                "headers": {"Idempotency-Key": "laptop-for-ada"},
                "body": {"item": "laptop", "count": 1},
                "output": "response",
            },
            output={
                "request": {"method": "POST", "uri": "https://erp.example.com/orders", "headers": {}},
                "statusCode": 201,
                "headers": {"location": "/orders/8"},
                "content": {"id": 8},
            },
        ),
    ],
)
async def request(arguments: Request, context: ToolContext[HttpSettings]) -> Result:
    """Send an HTTP request and give back what was answered."""
    at = endpoint(arguments.endpoint)
    headers, content = exchange.checked_headers(arguments.headers), None
    if "body" in arguments.model_fields_set:
        content, headers = exchange.body(arguments.body, headers)
    reach = egress(context, "http")
    return await exchange.exchange(
        Sending(
            arguments.method.upper(),
            exchange.with_query(exchange.address(at.uri), arguments.query),
            headers,
            content,
        ),
        auth=await http_auth(at.authentication, context, reach, timeout=context.settings.timeout),
        egress=reach,
        settings=context.settings,
        output=arguments.output,
        redirect=arguments.redirect,
        now=context.now(),
    )


@request.reconcile
async def request_sent(arguments: Request, context: ToolContext[HttpSettings]) -> Result | None:
    raise exchange.unknowable(arguments.method)


@request.narrow
async def request_nature(arguments: Request, context: ToolContext[HttpSettings]) -> tuple[Effect, Idempotency]:
    return exchange.nature(arguments.method, arguments.headers)
