"""The way to an MCP server over streamable HTTP, under the tenant's allow-list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client
from pydantic_core import from_json

from factotum.connectors.protocols.egress import Egress, GuardedTransport
from factotum.sdk.errors import Failed, ToolError
from factotum.sdk.http import refusal, unreachable


class Wire:
    """Remembers what went wrong on the way, which the library tells of in its log only.

    Attributes:
        refused: a request was answered with a status from 400 to 499, and so was not carried out.
    """

    def __init__(self) -> None:
        self.error: ToolError | None = None
        self.refused = False


class _Watched(httpx2.AsyncBaseTransport):
    """Notes refusals and lost answers, bounds what is read, and lets the library go on to its end.

    An exception here would end the library's group of tasks, and with it the answers of others.
    """

    def __init__(self, inner: GuardedTransport, wire: Wire, url: str, limit: int, now: Callable[[], datetime]) -> None:
        self._inner = inner
        self._wire = wire
        self._url = url
        self._limit = limit
        self._now = now

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except ToolError as error:
            return self._noted(error, request)
        except httpx2.RequestError as error:
            return self._noted(unreachable(self._url, error), request)
        # What is not answered to a POST is asked for by the library itself, and may be refused.
        if response.status_code >= 400 and request.method == "POST":
            self._wire.refused = self._wire.refused or (response.status_code < 500 and _asks(request))
            media = response.headers.get("Content-Type", "")
            if not media.startswith("application/json"):
                self._noted(refusal(self._url, response, "", now=self._now()), request)
        # What a server tells unasked is of no call; of its events each one is bounded by the library.
        if request.method == "POST" or "Last-Event-ID" in request.headers:
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream, self._url, self._limit, self._wire)
        return response

    def _noted(self, error: ToolError, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self._wire.error = self._wire.error or error
        return httpx2.Response(502, request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _asks(request: httpx2.Request) -> bool:
    """Whether it carries a request: neither a notification nor an answer to the server."""
    message = from_json(request.content)
    return isinstance(message, dict) and "method" in message and "id" in message


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends where it is too long, or is lost, and notes that it did."""

    def __init__(self, inner: httpx2.AsyncByteStream, url: str, limit: int, wire: Wire) -> None:
        self._inner = inner
        self._url = url
        self._limit = limit
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for piece in self._inner:
                size += len(piece)
                if size > self._limit:
                    self._wire.error = Failed(f"{self._url} answers more than the tenant's {self._limit} bytes")
                    return
                yield piece
        except httpx2.RequestError as error:
            self._wire.error = self._wire.error or unreachable(self._url, error)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def over_http(
    url: str,
    headers: list[tuple[str, str]],
    auth: httpx2.Auth | None,
    *,
    egress: Egress,
    wire: Wire,
    timeout: float,
    limit: int,
    now: Callable[[], datetime],
) -> AsyncIterator[TransportStreams]:
    """Streams to and from a server; redirects only within its origin."""
    transport = _Watched(GuardedTransport(egress), wire, url, limit, now)
    async with (
        httpx2.AsyncClient(transport=transport, headers=headers, auth=auth, timeout=timeout, trust_env=False) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=limit) as streams,
    ):
        yield streams
