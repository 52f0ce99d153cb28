"""AsyncAPI over HTTP: a message is published by a request, and received as server-sent events or by polling."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import Any

import httpx2

from factotum.connectors.protocols.asyncapi_document import Target
from factotum.connectors.protocols.asyncapi_messages import (
    Inbound,
    Outbound,
    Receipt,
    Received,
    inbound,
    read_cursor,
    written,
    written_cursor,
)
from factotum.connectors.protocols.egress import Egress, EgressSettings, guarded_client
from factotum.connectors.protocols.exchange import Sending, address, checked_headers, exchange
from factotum.connectors.protocols.external_resource import body
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Failed
from factotum.sdk.http import reaching, refusal

_KIND = "http"
_POLL_SECONDS = 1.0
# After a message, how long others are waited for that were sent together with it.
_TOGETHER_SECONDS = 0.1
# How long a stream is listened to at least: nothing would ever come of no wait at all.
_LEAST_SECONDS = 0.5


def method(target: Target) -> str:
    return target.method or "POST"


def url(target: Target) -> httpx2.URL:
    """Raises `InvalidArgument`."""
    path = target.address if target.address.startswith("/") else f"/{target.address}"
    return address(f"{target.protocol}://{target.server.rstrip('/')}{path}")


async def publish(
    target: Target, message: Outbound, auth: httpx2.Auth | None, way: Egress, context: ToolContext[Any]
) -> Receipt:
    """One request, which carries the idempotency key unless the message has one of its own."""
    headers = checked_headers(message.headers)
    names = {name.lower() for name, _ in headers}
    if "content-type" not in names:
        headers.append(("Content-Type", target.content_type))
    if "idempotency-key" not in names:
        headers.append(("Idempotency-Key", hashlib.sha256(context.idempotency_key.encode()).hexdigest()))
    answer = await exchange(
        Sending(method(target), url(target), headers, written(message.payload, target.content_type)),
        auth=auth,
        egress=way,
        settings=context.settings,
        output="response",
        redirect=False,
        now=context.now(),
    )
    return Receipt(statusCode=answer.root["statusCode"], content=answer.root["content"])


async def receive(
    target: Target,
    auth: httpx2.Auth | None,
    way: Egress,
    context: ToolContext[Any],
    *,
    cursor: str,
    max_messages: int,
    wait_seconds: float,
) -> Received:
    """Messages since the cursor: events, going on after the last id that was seen, or, of what is no stream, the
    whole answer each time that it is another one."""
    seen = read_cursor(cursor, _KIND)
    where = url(target)
    settings: EgressSettings = context.settings
    deadline = asyncio.get_running_loop().time() + wait_seconds
    # A stream may be silent for as long as it is listened to.
    timeout = max(settings.timeout, wait_seconds + 1)
    async with guarded_client(way, timeout=timeout, auth=auth, follow_redirects=True) as http:
        while True:
            with reaching(str(where.copy_with(query=None))):
                async with http.stream("GET", where, headers=_conditions(seen)) as response:
                    if not response.is_success and response.status_code != 304:
                        words = (await body("the answer", response, settings.max_bytes)).decode(errors="replace")
                        raise refusal(str(where.copy_with(query=None)), response, words, now=context.now())
                    if response.headers.get("Content-Type", "").startswith("text/event-stream"):
                        messages = await _events(target, response, settings, seen, max_messages, deadline)
                    else:
                        messages = await _polled(target, response, settings, seen)
            left = deadline - asyncio.get_running_loop().time()
            if messages or left <= 0:
                return Received(messages=messages, cursor=written_cursor(_KIND, seen))
            await asyncio.sleep(min(_POLL_SECONDS, left))


def _conditions(seen: dict[str, Any]) -> dict[str, str]:
    headers = {"Accept": "text/event-stream, application/json;q=0.9, */*;q=0.8"}
    if seen.get("event"):
        headers["Last-Event-ID"] = str(seen["event"])
    if seen.get("etag"):
        headers["If-None-Match"] = str(seen["etag"])
    return headers


async def _events(
    target: Target,
    response: httpx2.Response,
    settings: EgressSettings,
    seen: dict[str, Any],
    max_messages: int,
    deadline: float,
) -> list[Inbound]:
    messages: list[Inbound] = []
    size = 0
    deadline = max(deadline, asyncio.get_running_loop().time() + _LEAST_SECONDS)
    # The time being up is how a stream that goes on is left.
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline) as waiting:
            try:
                async for event in httpx2.EventSource(response, max_event_size=settings.max_bytes):
                    if not event.data:
                        continue
                    size += len(event.data)
                    if messages and size > settings.max_bytes:
                        break
                    headers = {"event": event.event} | ({"id": event.id} if event.id else {})
                    content = event.data.encode()
                    messages.append(inbound(content, target.content_type, headers, target.correlation))
                    seen["event"] = event.id or seen.get("event")
                    if len(messages) >= max_messages:
                        break
                    waiting.reschedule(min(deadline, asyncio.get_running_loop().time() + _TOGETHER_SECONDS))
            except httpx2.SSEError as error:
                raise Failed(f"what is streamed is no event stream: {error}") from error
    return messages


async def _polled(
    target: Target, response: httpx2.Response, settings: EgressSettings, seen: dict[str, Any]
) -> list[Inbound]:
    if response.status_code in (204, 304):
        return []
    content = await body("the answer", response, settings.max_bytes)
    digest = hashlib.sha256(content).hexdigest()
    seen["etag"] = response.headers.get("ETag")
    if not content or digest == seen.get("digest"):
        return []
    seen["digest"] = digest
    kind = response.headers.get("Content-Type", target.content_type)
    return [inbound(content, kind, dict(response.headers.items()), target.correlation)]
