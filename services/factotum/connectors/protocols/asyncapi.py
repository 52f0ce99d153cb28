"""Messages that an AsyncAPI document describes, published and received (`call: asyncapi`), over HTTP and Kafka."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import from_json

from factotum.connectors.protocols import asyncapi_http
from factotum.connectors.protocols.asyncapi_document import Target, Wanted, target
from factotum.connectors.protocols.asyncapi_kafka import Broker
from factotum.connectors.protocols.asyncapi_messages import Outbound, Receipt, Received
from factotum.connectors.protocols.authentication import Authentication, authorization, http_auth
from factotum.connectors.protocols.egress import Egress, EgressSettings, egress
from factotum.connectors.protocols.exchange import nature, unknowable
from factotum.connectors.protocols.external_resource import ExternalResource, nothing_begun, read
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, InvalidArgument
from factotum.sdk.http import HTTP_ERRORS
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

_SPOKEN = "http, https, kafka, kafka-secure"
_MOST_WAIT_SECONDS = 60.0


class AsyncapiSettings(EgressSettings):
    """`allow` also holds the origins of documents, and Kafka's brokers: kafka://broker.example.com:9092."""


class Server(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    variables: dict[str, Any] = {}


class _Operation(BaseModel):
    """`operation` is of AsyncAPI 3, `channel` of AsyncAPI 2; `protocol` counts where no `server` is named."""

    model_config = ConfigDict(extra="forbid")

    document: ExternalResource
    operation: str = ""
    channel: str = ""
    server: Server | None = None
    protocol: str = ""
    authentication: Authentication | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if bool(self.operation) is bool(self.channel):
            raise ValueError("give either an operation or a channel")
        return self


class Publication(_Operation):
    message: Outbound


class Reception(_Operation):
    cursor: str = Field(default="", description="Of the last call; empty: from now on.")
    max_messages: int = Field(default=100, ge=1, le=1000)
    wait_seconds: float = Field(default=10.0, ge=0, le=_MOST_WAIT_SECONDS)


connector = Connector("asyncapi", settings=AsyncapiSettings)


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=240.0,
    errors=(*HTTP_ERRORS, Ambiguous),
    examples=[
        Example(
            title="Publish to a topic of Kafka",
            arguments={
                "document": {"endpoint": "https://schemas.example.com/orders.asyncapi.yaml"},
                "operation": "sendOrder",
                "message": {"payload": {"item": "laptop", "count": 1}, "headers": {"source": "onboarding"}},
            },
            output={"statusCode": None, "content": None, "partition": 0, "offset": 41},
        )
    ],
)
async def publish(arguments: Publication, context: ToolContext[AsyncapiSettings]) -> Receipt:
    """Publish a message."""
    with nothing_begun():
        found = await _target(arguments, context, "publish")
        broker = await _broker(found, arguments, context) if found.family == "kafka" else None
        auth = None if broker else await _http_auth(arguments, context)
    if broker is not None:
        return await broker.publish(arguments.message)
    return await asyncapi_http.publish(found, arguments.message, auth, _egress(context), context)


@publish.narrow
async def _(arguments: Publication, context: ToolContext[AsyncapiSettings]) -> tuple[Effect, Idempotency]:
    found = await _target(arguments, context, "publish")
    if found.family == "kafka":
        return Effect.EXECUTE, Idempotency.RECONCILE
    return nature(asyncapi_http.method(found), arguments.message.headers)


@publish.reconcile
async def _(arguments: Publication, context: ToolContext[AsyncapiSettings]) -> Receipt | None:
    """A topic is looked through for the key of the call; a system behind HTTP cannot be asked."""
    found = await _target(arguments, context, "publish")
    if found.family == "kafka":
        return await (await _broker(found, arguments, context)).find()
    raise unknowable(asyncapi_http.method(found))


@connector.tool(
    effect=Effect.NONE,
    timeout_seconds=_MOST_WAIT_SECONDS + 180.0,
    errors=HTTP_ERRORS,
    examples=[
        Example(
            title="Wait for what comes from now on",
            arguments={
                "document": {"endpoint": "https://schemas.example.com/orders.asyncapi.yaml"},
                "operation": "onOrder",
                "max_messages": 10,
                "wait_seconds": 5,
            },
        )
    ],
)
async def receive(arguments: Reception, context: ToolContext[AsyncapiSettings]) -> Received:
    """Receive the messages since a cursor, waiting for the first if there is none.

    The cursor is the only memory: where a call is repeated with the same one, Kafka's messages come again.
    """
    found = await _target(arguments, context, "subscribe")
    if found.family == "kafka":
        broker = await _broker(found, arguments, context)
        return await broker.receive(
            cursor=arguments.cursor, max_messages=arguments.max_messages, wait_seconds=arguments.wait_seconds
        )
    return await asyncapi_http.receive(
        found,
        await _http_auth(arguments, context),
        _egress(context),
        context,
        cursor=arguments.cursor,
        max_messages=arguments.max_messages,
        wait_seconds=arguments.wait_seconds,
    )


async def _target(arguments: _Operation, context: ToolContext[AsyncapiSettings], action: str) -> Target:
    text = await read(arguments.document, context, _egress(context))
    # A document of megabytes takes YAML's parser seconds.
    document = await asyncio.to_thread(_parsed, text)
    server = arguments.server or Server.model_construct(name="", variables={})
    found = target(
        document,
        Wanted(
            action=action,
            operation=arguments.operation,
            channel=arguments.channel,
            server=server.name,
            variables=server.variables,
            protocol=arguments.protocol.lower(),
        ),
    )
    if found.family not in ("http", "kafka"):
        raise InvalidArgument(f"the protocol {found.protocol} is not spoken; there are {_SPOKEN}")
    return found


def _parsed(text: bytes) -> Any:
    with suppress(ValueError):
        return from_json(text)
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"the AsyncAPI document is neither JSON nor YAML: {str(error)[:200]}") from error


async def _broker(found: Target, arguments: _Operation, context: ToolContext[AsyncapiSettings]) -> Broker:
    way = _egress(context)
    shown = await authorization(arguments.authentication, context, way, timeout=context.settings.timeout)
    return Broker(found, way, shown, context)


async def _http_auth(arguments: _Operation, context: ToolContext[AsyncapiSettings]) -> Any:
    return await http_auth(arguments.authentication, context, _egress(context), timeout=context.settings.timeout)


def _egress(context: ToolContext[Any]) -> Egress:
    return egress(context, connector.system)
