"""Calls of agents that speak A2A 0.3 by JSON-RPC over HTTP (`call: a2a`); a stream of answers is read to its end."""

from __future__ import annotations

import json
import uuid
from typing import Any, Literal, Self
from urllib.parse import urljoin

import httpx2
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from factotum.connectors.protocols import jsonrpc
from factotum.connectors.protocols.authentication import http_auth
from factotum.connectors.protocols.egress import Egress, EgressSettings, egress, guarded_client
from factotum.connectors.protocols.external_resource import (
    Endpoint,
    ExternalResource,
    body,
    endpoint,
    nothing_begun,
    read,
)
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Failed, Unavailable
from factotum.sdk.http import HTTP_ERRORS, reaching, refusal
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

Method = Literal[
    "message/send",
    "message/stream",
    "tasks/get",
    "tasks/list",
    "tasks/cancel",
    "tasks/resubscribe",
    "tasks/pushNotificationConfig/set",
    "tasks/pushNotificationConfig/get",
    "tasks/pushNotificationConfig/list",
    "tasks/pushNotificationConfig/delete",
    "agent/getAuthenticatedExtendedCard",
]
_READS = frozenset(
    {
        "tasks/get",
        "tasks/list",
        "tasks/resubscribe",
        "tasks/pushNotificationConfig/get",
        "tasks/pushNotificationConfig/list",
        "agent/getAuthenticatedExtendedCard",
    }
)
_STREAMS = frozenset({"message/stream", "tasks/resubscribe"})
# A2A 0.3 §8.2: task not found, not cancelable, push notifications, operation or content type not supported,
# extended card not configured.
_REFUSALS = jsonrpc.REFUSALS | {-32001, -32002, -32003, -32004, -32005, -32007}
_SPOKEN = "0.3"
_WORDS_LIMIT = 500
_TIMEOUT = 300.0


class A2aSettings(EgressSettings):
    """`allow` holds the origins of agents and of their cards."""

    max_events: int = Field(default=1000, gt=0, description="Of one stream.")


class A2aCall(BaseModel):
    """`server` counts only where no `agentCard` is given."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"anyOf": [{"required": ["agentCard"]}, {"required": ["server"]}]}
    )

    method: Method
    agentCard: ExternalResource | None = None
    server: str | Endpoint | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_an_agent(self) -> Self:
        if self.agentCard is None and self.server is None:
            raise ValueError("give an agentCard or a server")
        return self


class A2aOutput(RootModel[Any]):
    """The JSON-RPC result; of a stream, all results in their order."""


connector = Connector("a2a", settings=A2aSettings)


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=_TIMEOUT,
    errors=(*HTTP_ERRORS, Ambiguous),
    examples=[
        Example(
            title="Ask an agent, which answers with a task",
            arguments={
                "method": "message/send",
                "agentCard": {"endpoint": "https://travel.example.com/.well-known/agent-card.json"},
                "parameters": {
                    "message": {"role": "user", "parts": [{"kind": "text", "text": "A train to Berlin on Monday"}]}
                },
            },
            output={"kind": "task", "id": "7f3a", "contextId": "c1", "status": {"state": "submitted"}},
        )
    ],
)
async def call(arguments: A2aCall, context: ToolContext[A2aSettings]) -> A2aOutput:
    """Call a method of an A2A agent.

    A message without an id has one that follows from the idempotency key: an agent can tell a repetition.
    """
    with nothing_begun():
        url, auth = await _agent(arguments, context)
    request = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": arguments.method,
        "params": _parameters(arguments, f"{context.tenant} {context.idempotency_key}"),
    }
    streams = arguments.method in _STREAMS
    headers = {"Accept": "text/event-stream" if streams else "application/json", "A2A-Version": _SPOKEN}
    settings = context.settings
    async with guarded_client(_egress(context), timeout=settings.timeout, auth=auth) as http:
        with reaching(url):
            async with http.stream("POST", url, json=request, headers=headers) as response:
                media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                if streams and response.is_success and media == "text/event-stream":
                    return A2aOutput(await _collected(url, response, settings))
                content = await body(url, response, settings.max_bytes)
        answer = _parsed(content)
        if not response.is_success and not (isinstance(answer, dict) and "error" in answer):
            raise refusal(url, response, content.decode(errors="replace"), now=context.now())
        found = jsonrpc.result(url, answer, refusals=_REFUSALS)
        # An agent that has its whole answer at once may give it without a stream.
        return A2aOutput([found] if streams else found)


@call.narrow
async def _(arguments: A2aCall, context: ToolContext[A2aSettings]) -> tuple[Effect, Idempotency]:
    if arguments.method in _READS:
        return Effect.NONE, Idempotency.NATIVE
    return Effect.EXECUTE, Idempotency.RECONCILE


@call.reconcile
async def _(arguments: A2aCall, context: ToolContext[A2aSettings]) -> A2aOutput | None:
    """A2A has no question of what became of a message."""
    raise Ambiguous(f"an agent cannot be asked whether {arguments.method} was carried out")


async def _agent(arguments: A2aCall, context: ToolContext[A2aSettings]) -> tuple[str, httpx2.Auth | None]:
    """Where the agent is, and what it is shown.

    A card's credentials go to the agent only if it is at the card's own origin: a card is somebody's text,
    and must not choose who is given them.
    """
    way, timeout = _egress(context), context.settings.timeout
    if arguments.agentCard is None:
        assert arguments.server is not None
        at = endpoint(arguments.server)
        return at.uri, await http_auth(at.authentication, context, way, timeout=timeout)
    at = arguments.agentCard.at
    url = urljoin(at.uri, _interface(_parsed(await read(arguments.agentCard, context, way)), at.uri))
    if _origin(url) != _origin(at.uri):
        return url, None
    return url, await http_auth(at.authentication, context, way, timeout=timeout)


def _interface(card: Any, where: str) -> str:
    """The address at which the agent of a card speaks JSON-RPC. Raises `Failed`, nothing being sent."""
    card = card if isinstance(card, dict) else {}
    offered = [(card.get("url"), card.get("preferredTransport", "JSONRPC"))]
    offered += [(other.get("url"), other.get("transport")) for other in _objects(card.get("additionalInterfaces"))]
    offered += [  # A2A 1.0's cards, of agents that speak 0.3 as well
        (other.get("url"), other.get("protocolBinding"))
        for other in _objects(card.get("supportedInterfaces"))
        if str(other.get("protocolVersion", "")).startswith(_SPOKEN)
    ]
    for url, transport in offered:
        if isinstance(url, str) and url and transport == "JSONRPC":
            return url
    raise Failed(f"the agent card at {where} offers no JSON-RPC interface of A2A {_SPOKEN}", effect_possible=False)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _parameters(arguments: A2aCall, key: str) -> dict[str, Any]:
    if arguments.method not in ("message/send", "message/stream"):
        return arguments.parameters
    given = arguments.parameters.get("message")
    message = given if isinstance(given, dict) else {}
    defaults = {"kind": "message", "role": "user", "messageId": str(uuid.uuid5(uuid.NAMESPACE_URL, key))}
    return {**arguments.parameters, "message": {**defaults, **message}}


async def _collected(url: str, response: httpx2.Response, settings: A2aSettings) -> list[Any]:
    results: list[Any] = []
    size = 0
    try:
        async for event in httpx2.EventSource(response, max_event_size=settings.max_bytes):
            if not event.data:
                continue
            size += len(event.data)
            if len(results) >= settings.max_events or size > settings.max_bytes:
                raise Failed(
                    f"{url} streams more than the tenant's {settings.max_events} events or {settings.max_bytes} bytes"
                )
            # What went before an error may have had its effect, whatever the error says.
            refusals = frozenset() if results else _REFUSALS
            results.append(jsonrpc.result(url, _parsed(event.data.encode()), refusals=refusals))
    except httpx2.SSEError as error:
        raise Failed(f"{url} streams what is no event stream: {error}") from error
    if not results:
        raise Unavailable(f"{url} ended its stream without an answer")
    return results


def _parsed(text: bytes) -> Any:
    """The JSON of a text; None if it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _egress(context: ToolContext[Any]) -> Egress:
    return egress(context, connector.system)


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx2.URL(url)
    return parsed.scheme, parsed.host, parsed.port
