"""One call of a gRPC method whose messages are described at run time: its channel, its messages, its deadline.

A channel goes to addresses that were looked at (`factotum.sdk.egress`), and what may be sent again is for the ledger
to say, so gRPC sends nothing twice by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from factotum.connectors.protocols.external_resource import nothing_begun
from factotum.connectors.protocols.grpc_status import refusal
from factotum.sdk.errors import Failed, InvalidArgument, Unavailable


@dataclass(frozen=True, slots=True)
class Target:
    """A service at addresses that may be reached.

    Attributes:
        scheme: grpcs over TLS, grpc without.
        roots: PEM certificates to trust in place of the public ones.
    """

    scheme: str
    host: str
    port: int
    addresses: Sequence[str]
    roots: bytes | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one call: seconds until its deadline, messages of a stream, bytes of all of them and of the request."""

    seconds: float
    messages: int
    bytes: int


@asynccontextmanager
async def opened(target: Target, *, max_bytes: int, seconds: float) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that is connected. Raises `Unavailable`, nothing being sent, if it never is."""
    with nothing_begun():
        options = [
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),  # whom a proxy connects to could not be seen from here
            ("grpc.default_authority", f"{target.host}:{target.port}"),
        ]
        name = _name(target.addresses, target.port)
        if target.scheme == "grpcs":
            options.append(("grpc.ssl_target_name_override", target.host))
            channel = grpc.aio.secure_channel(name, grpc.ssl_channel_credentials(target.roots), options)
        else:
            channel = grpc.aio.insecure_channel(name, options)
    async with channel:
        with nothing_begun():
            await _connected(channel, str(target), seconds)
        yield channel


def written(method: MethodDescriptor, arguments: Any, pool: DescriptorPool, *, limit: int) -> bytes:
    """The request, from its JSON mapping. Raises `InvalidArgument`."""
    message: Message = GetMessageClass(method.input_type)()
    try:
        ParseDict(arguments, message, descriptor_pool=pool)
    except ParseError as error:
        raise InvalidArgument(f"{method.input_type.full_name} does not take the arguments: {error}") from error
    request = message.SerializeToString()
    if len(request) > limit:
        raise InvalidArgument(f"the message has {len(request)} bytes, more than the tenant's {limit}")
    return request


async def answers(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    request: bytes,
    metadata: Sequence[tuple[str, str]],
    bounds: Bounds,
) -> list[bytes]:
    """The one answer, or all of a stream. Raises what the status means, and `Failed` for a stream beyond its bounds."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    got: list[bytes] = []
    try:
        if not method.server_streaming:
            return [await channel.unary_unary(path, None, None)(request, timeout=bounds.seconds, metadata=metadata)]
        stream = channel.unary_stream(path, None, None)(request, timeout=bounds.seconds, metadata=metadata)
        size = 0
        try:
            async for answer in stream:
                got.append(answer)
                size += len(answer)
                if len(got) > bounds.messages or size > bounds.bytes:
                    raise Failed(
                        f"{method.full_name} streams more than the tenant's {bounds.messages} messages or "
                        f"{bounds.bytes} bytes"
                    )
        finally:
            stream.cancel()
    except grpc.aio.AioRpcError as error:
        raise refusal(method.full_name, error, answered=bool(got)) from error
    return got


def as_json(method: MethodDescriptor, answer: bytes, pool: DescriptorPool) -> dict[str, Any]:
    """The JSON mapping of an answer, fields at their defaults included. Raises `Failed`."""
    message: Message = GetMessageClass(method.output_type)()
    try:
        message.ParseFromString(answer)
        read: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True, descriptor_pool=pool)
    # Bytes that are no such message, an Any of a type that the proto does not know, a date out of range.
    except (DecodeError, TypeError, ValueError) as error:
        raise Failed(f"{method.full_name} answered what is no {method.output_type.full_name}: {error}") from error
    return read


def _name(addresses: Sequence[str], port: int) -> str:
    """The addresses that were looked at, as gRPC's name of a target: no name is looked up again."""
    family = [address for address in addresses if (":" in address) == (":" in addresses[0])]
    if ":" in addresses[0]:
        return "ipv6:" + ",".join(f"[{address}]:{port}" for address in family)
    return "ipv4:" + ",".join(f"{address}:{port}" for address in family)


async def _connected(channel: grpc.aio.Channel, shown: str, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.READY:
                if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    raise Unavailable(f"no connection to {shown}")
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError as error:
        raise Unavailable(f"no connection to {shown} within {seconds:g} s") from error
