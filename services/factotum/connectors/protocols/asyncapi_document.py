"""What an AsyncAPI document (2.6 or 3.0) says of one operation: where its messages go, and how they are written.

Only references inside the document are followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from factotum.sdk.errors import InvalidArgument

# A document's server says `https`, a call's `protocol` only `http`: both are one protocol here.
FAMILIES = {"https": "http", "kafka-secure": "kafka", "wss": "ws", "secure-mqtt": "mqtt", "mqtts": "mqtt"}
_VARIABLE = re.compile(r"\{([^{}]+)\}")
_REFERENCES = 32
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an operation happens.

    Attributes:
        protocol: as the server has it, e.g. `https` or `kafka-secure`.
        server: host, port and path of the server, its variables filled in, without a scheme.
        address: of the channel: a topic, a path.
        method: of HTTP; empty where the document says none.
        content_type: of the payload.
        correlation: location of the correlation id, a runtime expression such as `$message.header#/id`.
        security: types of the server's security schemes, e.g. `scramSha256`.
    """

    protocol: str
    server: str
    address: str
    method: str = ""
    content_type: str = _JSON
    correlation: str = ""
    security: Sequence[str] = field(default_factory=tuple)

    @property
    def family(self) -> str:
        return FAMILIES.get(self.protocol, self.protocol)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call names. `action` is `publish` or `subscribe`; of `operation` and `channel` one is empty."""

    action: str
    operation: str = ""
    channel: str = ""
    server: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = ""


def target(document: Any, wanted: Wanted) -> Target:
    """Raises `InvalidArgument` naming what the document does not have."""
    version = document.get("asyncapi") if isinstance(document, dict) else None
    if not isinstance(version, str):
        raise InvalidArgument("the document is no AsyncAPI document: it has no text `asyncapi`")
    read = _Document(document)
    if version.startswith("3."):
        channel, operation, servers = _third(read, wanted)
    elif version.startswith("2."):
        channel, operation, servers = _second(read, wanted)
    else:
        raise InvalidArgument(f"AsyncAPI {version} is not spoken; there are 2.x and 3.x")
    server = _server(read, servers, wanted)
    message = _message(read, channel, operation)
    return Target(
        protocol=_text(server, "protocol").lower(),
        server=_filled(_host(server), read.mapping(server, "variables"), wanted.variables, what="server"),
        address=_address(read, channel, wanted),
        method=_text(read.mapping(read.mapping(operation, "bindings"), "http"), "method").upper(),
        content_type=_text(message, "contentType") or _text(document, "defaultContentType") or _JSON,
        correlation=_text(read.mapping(message, "correlationId"), "location"),
        security=_security(read, server),
    )


class _Document:
    """Reads values through their references."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.root = document

    def resolved(self, value: Any) -> dict[str, Any]:
        """The object that a value is or refers to. Raises `InvalidArgument`."""
        for _ in range(_REFERENCES):
            if not isinstance(value, dict):
                raise InvalidArgument(f"the AsyncAPI document has {type(value).__name__} where an object belongs")
            reference = value.get("$ref")
            if reference is None:
                return value
            value = self._at(reference)
        raise InvalidArgument("references of the AsyncAPI document go in a circle")

    def mapping(self, holder: Mapping[str, Any], name: str) -> dict[str, Any]:
        """An optional member; empty if it is not there."""
        return self.resolved(holder[name]) if holder.get(name) is not None else {}

    def _at(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise InvalidArgument(f"the reference {reference!r} leaves the AsyncAPI document: bundle it into one")
        value: Any = self.root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            elif isinstance(value, dict) and name in value:
                value = value[name]
            else:
                raise InvalidArgument(f"the AsyncAPI document has nothing at {reference}")
        return value


_Found = tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Any]]]


def _third(read: _Document, wanted: Wanted) -> _Found:
    """The channel, the operation and the servers by name, of AsyncAPI 3."""
    operations = read.mapping(read.root, "operations")
    if wanted.operation not in operations:
        raise InvalidArgument(f"an AsyncAPI 3 document is called by `operation`; it has {_listed(operations)}")
    operation = read.resolved(operations[wanted.operation])
    channel = read.mapping(operation, "channel")
    servers = {name: read.resolved(server) for name, server in read.mapping(read.root, "servers").items()}
    meant = [read.resolved(reference) for reference in channel.get("servers") or []]
    return channel, operation, {name: server for name, server in servers.items() if not meant or server in meant}


def _second(read: _Document, wanted: Wanted) -> _Found:
    """The same of AsyncAPI 2; the channel's name is its address."""
    channels = read.mapping(read.root, "channels")
    if wanted.channel not in channels:
        raise InvalidArgument(f"an AsyncAPI 2 document is called by `channel`; it has {_listed(channels)}")
    channel = read.resolved(channels[wanted.channel])
    if wanted.action not in channel:
        raise InvalidArgument(f"the channel {wanted.channel!r} has no operation `{wanted.action}`")
    servers = {name: read.resolved(server) for name, server in read.mapping(read.root, "servers").items()}
    meant = channel.get("servers") or list(servers)
    return channel, read.mapping(channel, wanted.action), {n: server for n, server in servers.items() if n in meant}


def _server(read: _Document, servers: dict[str, dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
    if wanted.server:
        if wanted.server not in servers:
            raise InvalidArgument(f"the channel has the servers {_listed(servers)}, not {wanted.server!r}")
        return servers[wanted.server]
    for server in servers.values():
        protocol = _text(server, "protocol").lower()
        if not wanted.protocol or wanted.protocol in (protocol, FAMILIES.get(protocol)):
            return server
    of = f" of protocol {wanted.protocol}" if wanted.protocol else ""
    raise InvalidArgument(f"the channel has no server{of}; it has {_listed(servers)}")


def _host(server: dict[str, Any]) -> str:
    url = _text(server, "url") or _text(server, "host") + _text(server, "pathname")
    return url.partition("://")[2] if "://" in url else url


def _address(read: _Document, channel: dict[str, Any], wanted: Wanted) -> str:
    bound = _text(read.mapping(read.mapping(channel, "bindings"), "kafka"), "topic")
    address = bound or wanted.channel or _text(channel, "address")
    if not address:
        raise InvalidArgument("the channel has no address")
    return _filled(address, read.mapping(channel, "parameters"), {}, what="channel")


def _filled(text: str, variables: Mapping[str, Any], given: Mapping[str, Any], *, what: str) -> str:
    """A text with its `{variables}` replaced by what is given, or else by their defaults."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        variable = variables.get(name)
        declared = variable if isinstance(variable, dict) else {}
        chosen = given.get(name, declared.get("default"))
        if chosen is None:
            raise InvalidArgument(f"the {what}'s variable {name!r} has no value and no default")
        if declared.get("enum") and chosen not in declared["enum"]:
            raise InvalidArgument(f"the {what}'s variable {name!r} is one of {declared['enum']}, not {chosen!r}")
        return str(chosen)

    return _VARIABLE.sub(value, text)


def _message(read: _Document, channel: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """The operation's message; the first where there are several."""
    if operation.get("message") is not None:  # AsyncAPI 2
        message = read.mapping(operation, "message")
        several = message.get("oneOf")
        return read.resolved(several[0]) if isinstance(several, list) and several else message
    listed = operation.get("messages") or list(read.mapping(channel, "messages").values())
    return read.resolved(listed[0]) if listed else {}


def _security(read: _Document, server: dict[str, Any]) -> tuple[str, ...]:
    schemes = read.mapping(read.mapping(read.root, "components"), "securitySchemes")
    types = []
    for entry in server.get("security") or []:
        entry = entry if isinstance(entry, dict) else {}
        if "type" in entry or "$ref" in entry:  # AsyncAPI 3: the scheme; AsyncAPI 2: its name
            types.append(_text(read.resolved(entry), "type"))
        else:
            types += [_text(read.resolved(schemes[name]), "type") for name in entry if name in schemes]
    return tuple(types)


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(str, names))) or "nothing"
