"""What a call may reach: nothing but the origins that the tenant's settings allow.

A name is looked up once, here, and the connection goes to the address that was looked at: a name that is
pointed elsewhere between the look and the connection (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, TypeVar

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from factotum.connectors.http_answers import trust
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import InvalidArgument, NotPermitted, Unavailable

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "grpc": 80, "grpcs": 443}
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\s/:\[\]@?#*]+|\*\.[^\s/:\[\]@?#*]+)(?::(?P<port>\d+|\*))?"
)
_MOST_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Pattern:
    """One entry of an allow-list. `port` None is any port; `subdomains` stands for the `*.` before the host."""

    scheme: str
    host: str
    port: int | None
    subdomains: bool = False

    def takes(self, scheme: str, host: str, port: int) -> bool:
        if scheme != self.scheme or self.port not in (None, port):
            return False
        return host.endswith(f".{self.host}") if self.subdomains else host == self.host


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern | None:
    """The pattern of `scheme://host[:port]`, `scheme://*.host`, `scheme://host:*`; None for `*`, which is
    every public address. Raises `ValueError`."""
    if text == "*":
        return None
    found = _ORIGIN.fullmatch(text.lower())
    if found is None:
        raise ValueError(f"{text!r} is not an origin: write https://api.example.com, http://127.0.0.1:8080 or *")
    scheme, host, port = found.group("scheme", "host", "port")
    if port is None and scheme not in _PORTS:
        raise ValueError(f"{text!r} needs a port, or :* for any")
    number = None if port == "*" else int(port or _PORTS[scheme])
    return Pattern(scheme, _ascii(host.removeprefix("*.")), number, subdomains=host.startswith("*."))


def _origin_text(text: str) -> str:
    pattern(text)
    return text


class EgressSettings(BaseModel):
    """Base of the settings of connectors that call what a document names. Nothing is allowed by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: list[Annotated[str, AfterValidator(_origin_text)]] = Field(
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


class Egress:
    """A tenant's allow-list.

    Args:
        where: the setting to add an origin to, for the message of a refusal.
    """

    def __init__(self, allow: Sequence[str], *, where: str) -> None:
        self._allow = allow
        self._where = where

    async def addresses(self, scheme: str, host: str, port: int | None) -> list[str]:
        """The IP addresses of an allowed origin, one of which is to be connected to.

        Raises `NotPermitted`, `Unavailable` (without effect) for a name that does not resolve.
        """
        port = port or _PORTS.get(scheme)
        if port is None:
            raise InvalidArgument(f"{scheme}://{host} needs a port")
        host = _ascii(host)
        shown = f"{scheme}://{f'[{host}]' if ':' in host else host}{'' if port == _PORTS.get(scheme) else f':{port}'}"
        found = [pattern(text) for text in self._allow]
        named = any(p is not None and not p.subdomains and p.takes(scheme, host, port) for p in found)
        if not named and not any(p is None or p.takes(scheme, host, port) for p in found):
            raise NotPermitted(f"{shown} may not be reached: add {shown!r} to {self._where}")
        addresses = await _resolved(host, port)
        if named:
            return addresses
        public = [address for address in addresses if _public(address)]
        if not public:
            raise NotPermitted(
                f"{shown} is at {addresses[0]}, which is no public address: if that is meant, add {shown!r} to "
                f"{self._where}, written out"
            )
        return public


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


async def _resolved(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"{host} has no address: {error.strerror}", effect_possible=False) from error
    except UnicodeError as error:
        raise InvalidArgument(f"{host!r} is not the name of a host") from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def _public(text: str) -> bool:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        # What carries an IPv4 address inside is as public as that one; 64:ff9b::/96 is NAT64 (RFC 6052).
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in ipaddress.ip_network("64:ff9b::/96"):
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inside or address
    return address.is_global and not address.is_multicast


def _ascii(host: str) -> str:
    """The host as it is compared: lower case, IDNA, without brackets and the last dot."""
    host = host.strip("[]").rstrip(".").lower()
    if host.isascii():
        return host
    return httpx2.URL(scheme="http", host=host).raw_host.decode("ascii")
