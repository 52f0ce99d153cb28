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
from typing import Annotated

import idna
from pydantic import AfterValidator

from factotum.sdk.errors import InvalidArgument, NotPermitted, Unavailable

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "grpc": 80, "grpcs": 443}
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\s/:\[\]@?#*]+|\*\.[^\s/:\[\]@?#*]+)(?::(?P<port>\d+|\*))?"
)


# What Python counts as global and is not: IPv4 inside of IPv6 as RFC 4291 had it and as RFC 2765 translates it, the
# site's own addresses (RFC 3879), NAT64 within a network (RFC 8215), and Azure's platform to its machines.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in ("::/96", "::ffff:0:0:0/96", "fec0::/10", "64:ff9b:1::/48", "168.63.129.16/32")
)


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
    if port is None and scheme not in PORTS:
        raise ValueError(f"{text!r} needs a port, or :* for any")
    number = None if port == "*" else int(port or PORTS[scheme])
    return Pattern(scheme, _ascii(host.removeprefix("*.")), number, subdomains=host.startswith("*."))


def _origin_text(text: str) -> str:
    pattern(text)
    return text


Origin = Annotated[str, AfterValidator(_origin_text)]


def allowed(allow: Sequence[str], scheme: str, host: str, port: int | None) -> tuple[bool, bool]:
    """Whether an entry writes this origin out, and whether any takes it. `host` as it is compared."""
    port = port or PORTS.get(scheme) or 0
    found = [pattern(text) for text in allow]
    named = any(one is not None and not one.subdomains and one.takes(scheme, host, port) for one in found)
    return named, named or any(one is None or one.takes(scheme, host, port) for one in found)


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
        port = port or PORTS.get(scheme)
        if port is None:
            raise InvalidArgument(f"{scheme}://{host} needs a port")
        try:
            host = _ascii(host)
        except UnicodeError as error:
            raise InvalidArgument(f"{host!r} is not the name of a host") from error
        shown = f"{scheme}://{f'[{host}]' if ':' in host else host}{'' if port == PORTS.get(scheme) else f':{port}'}"
        named, taken = allowed(self._allow, scheme, host, port)
        if not taken:
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
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC)


def _ascii(host: str) -> str:
    """The host as it is compared: lower case, IDNA, without brackets and the last dot. Raises `UnicodeError`."""
    host = host.strip("[]").rstrip(".").lower()
    if host.isascii():
        return host
    return idna.encode(host).decode("ascii")
