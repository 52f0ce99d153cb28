"""Resources that a call names: an endpoint, and the text that is read from there before anything else is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.protocols.authentication import Authentication, http_auth
from factotum.connectors.protocols.egress import Egress, EgressSettings, guarded_client
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Failed, ToolError
from factotum.sdk.http import reaching, refusal


class Endpoint(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: str = Field(min_length=1)
    authentication: Authentication | None = None


class ExternalResource(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    endpoint: str | Endpoint

    @property
    def at(self) -> Endpoint:
        return endpoint(self.endpoint)


def endpoint(given: str | Endpoint) -> Endpoint:
    return Endpoint(uri=given) if isinstance(given, str) else given


async def read(resource: ExternalResource, context: ToolContext[Any], egress: Egress) -> bytes:
    """The content of a resource at an http or https address. No error of it leaves an effect possible."""
    at, settings = resource.at, context.settings
    assert isinstance(settings, EgressSettings)
    with nothing_begun():
        auth = await http_auth(at.authentication, context, egress, timeout=settings.timeout)
        async with guarded_client(egress, timeout=settings.timeout, auth=auth, follow_redirects=True) as http:
            with reaching(at.uri):
                async with http.stream("GET", at.uri) as response:
                    text = await body(at.uri, response, settings.max_bytes)
        if not response.is_success:
            raise refusal(at.uri, response, text.decode(errors="replace"), now=context.now())
        return text


async def body(what: str, response: httpx2.Response, limit: int) -> bytes:
    """The content of an answer, decompressed. Raises `Failed` for one of more than `limit` bytes."""
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > limit:
            raise Failed(f"{what} answers more than the tenant's {limit} bytes")
    return bytes(content)


@contextmanager
def nothing_begun() -> Iterator[None]:
    """Of what fails in here, the effect that was asked for was not begun."""
    try:
        yield
    except ToolError as error:
        error.effect_possible = False
        raise
