"""HTTP clients that reach only what `factotum.sdk.egress` allows, and the settings that say what that is."""

from __future__ import annotations

from typing import TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from factotum.sdk.context import ToolContext
from factotum.sdk.egress import PORTS, Egress, Origin, allowed
from factotum.sdk.errors import NotPermitted, Unavailable
from factotum.sdk.http import trust

# The rules are the SDK's; connectors that speak HTTP find them here with the rest.
__all__ = ["Egress", "EgressSettings", "GuardedTransport", "allowed", "egress", "guarded_client", "origin"]

_MOST_REDIRECTS = 10


def origin(address: str) -> str:
    """The entry that allows the origin of an address, written out. Raises `ValueError` if it has none."""
    url = httpx2.URL(address)
    if url.scheme not in PORTS or not url.host:
        raise ValueError(f"{address!r} does not begin with http:// or https:// and a host")
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}:{url.port or PORTS[url.scheme]}"


class EgressSettings(BaseModel):
    """Base of the settings of connectors that call what a document names. Nothing is allowed by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: list[Origin] = Field(
        default=[],
        description="Origins that may be reached: https://api.example.com, https://*.example.com, "
        "http://127.0.0.1:*, or * for every public address. Loopback, private and link-local addresses are "
        "reached only by an entry that writes the host out.",
    )
    timeout: float = Field(
        default=50.0, gt=0, description="Seconds to connect in, and between two pieces of an answer."
    )
    max_bytes: int = Field(default=8 * 1024 * 1024, gt=0, description="Of one answer, decompressed.")


E = TypeVar("E", bound=EgressSettings)


def egress(context: ToolContext[E], system: str) -> Egress:
    """The allow-list of a call's tenant for one system."""
    return Egress(context.settings.allow, where=f"tenants.{context.tenant}.{system}.allow of the connectors file")


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends requests, each hop of a redirect too, to allowed addresses only.

    No proxy of the environment is used: whom it connects to could not be seen from here.
    """

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        # No connection is used again: one that was verified for a host must not serve another at its address.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._inner = httpx2.AsyncHTTPTransport(verify=trust(), trust_env=False, limits=limits)
        self.sent = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        try:
            addresses = await self._egress.addresses(url.scheme, url.host, url.port)
        except (NotPermitted, Unavailable) as error:
            # Of a redirect or a challenge: what was answered before may have had an effect.
            error.effect_possible = self.sent > 0
            raise
        host = url.raw_host.decode("ascii")
        for address in addresses:
            pinned = httpx2.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host.strip("[]")},
            )
            try:
                response = await self._inner.handle_async_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if address == addresses[-1]:
                    raise
            else:
                self.sent += 1
                return response
        raise AssertionError("a name that resolves has an address")

    async def aclose(self) -> None:
        await self._inner.aclose()


def guarded_client(
    egress: Egress, *, timeout: float, auth: httpx2.Auth | None = None, follow_redirects: bool = False
) -> httpx2.AsyncClient:
    """A client for one call that reaches allowed origins only, also where it is redirected."""
    return httpx2.AsyncClient(
        transport=GuardedTransport(egress),
        timeout=timeout,
        headers={"User-Agent": "factotum"},
        auth=auth,
        follow_redirects=follow_redirects,
        max_redirects=_MOST_REDIRECTS,
        trust_env=False,
    )
