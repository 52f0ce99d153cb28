"""Calls of gRPC methods that a `.proto` file describes (`call: grpc`).

The tenant's allow-list says how a service is reached: `grpcs://host:port` over TLS, `grpc://host:port` without.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from pydantic import BaseModel, ConfigDict, DirectoryPath, Field, FilePath, RootModel

from factotum.connectors.protocols.authentication import Authentication, authorization
from factotum.connectors.protocols.egress import Egress, EgressSettings, egress
from factotum.connectors.protocols.external_resource import ExternalResource, nothing_begun, read
from factotum.connectors.protocols.grpc_status import refusal
from factotum.connectors.protocols.protobuf import Compiler, Proto, Schema
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Failed, InvalidArgument, NotFound, NotPermitted, Unavailable
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector

_CONNECT_SECONDS = 10.0


class GrpcSettings(EgressSettings):
    """`allow` also holds the origins of protos: https://schemas.example.com."""

    proto_folder: DirectoryPath | None = Field(
        default=None, description="Where file:// protos, and what they import, are."
    )
    ca_file: FilePath | None = Field(default=None, description="PEM certificates to trust in place of the public ones.")
    call_seconds: float = Field(default=60.0, gt=0, le=240, description="The deadline of a call.")
    max_messages: int = Field(default=1000, gt=0, description="Of a stream.")


class Service(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, description="In full, e.g. library.v1.Library.")
    host: str = Field(min_length=1)
    port: int | None = Field(default=None, gt=0, le=65535, description="443 over TLS, else 80, if not given.")
    authentication: Authentication | None = None


class GrpcCall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    proto: ExternalResource
    service: Service
    method: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)


class GrpcOutput(RootModel[dict[str, Any] | list[dict[str, Any]]]):
    """The answer in the JSON mapping of Protocol Buffers; a list of them where the server streams."""


connector = Connector("grpc", settings=GrpcSettings)
_compiler = Compiler()


@connector.tool(effect=Effect.EXECUTE, idempotency=Idempotency.RECONCILE, timeout_seconds=300.0)
async def call(arguments: GrpcCall, context: ToolContext[GrpcSettings]) -> GrpcOutput:
    """Call a method of a gRPC service."""
    with nothing_begun():
        schema, method = await _described(arguments, context)
        request = _request(arguments, schema, method, context.settings.max_bytes)
        policy, seconds = arguments.service.authentication, context.settings.timeout
        shown = await authorization(policy, context, _egress(context), timeout=seconds)
    metadata = [] if shown is None else [("authorization", shown)]
    async with _channel(arguments.service, context) as channel:
        answers = await _answers(channel, method, request, metadata, context.settings)
    read = [_json(method, answer, schema) for answer in answers]
    return GrpcOutput(read if method.server_streaming else read[0])


@call.narrow
async def _(arguments: GrpcCall, context: ToolContext[GrpcSettings]) -> tuple[Effect, Idempotency]:
    """As the `idempotency_level` of the method says."""
    _, method = await _described(arguments, context)
    level = method.GetOptions().idempotency_level
    if level == MethodOptions.NO_SIDE_EFFECTS:
        return Effect.NONE, Idempotency.NATIVE
    if level == MethodOptions.IDEMPOTENT:
        return Effect.EXECUTE, Idempotency.NATIVE
    return Effect.EXECUTE, Idempotency.RECONCILE


@call.reconcile
async def _(arguments: GrpcCall, context: ToolContext[GrpcSettings]) -> GrpcOutput | None:
    """gRPC has no question of what became of a call."""
    raise Ambiguous(
        f"a gRPC service cannot be asked whether {arguments.method} was carried out. Where doing it again changes "
        "nothing, its proto can say idempotency_level = IDEMPOTENT"
    )


async def _described(arguments: GrpcCall, context: ToolContext[GrpcSettings]) -> tuple[Schema, MethodDescriptor]:
    schema = await _compiler.schema(await _proto(arguments.proto, context))
    method = schema.method(arguments.service.name, arguments.method)
    if method.client_streaming:
        raise InvalidArgument(f"{method.full_name} takes a stream of messages; a call sends one")
    return schema, method


async def _proto(resource: ExternalResource, context: ToolContext[GrpcSettings]) -> Proto:
    """Raises `NotPermitted` for a file outside of the tenant's folder, `NotFound`, and what reading raises."""
    address = resource.at.uri
    parts = urlsplit(address)
    if parts.scheme != "file":
        return Proto(address, await read(resource, context, _egress(context)))
    setting = f"tenants.{context.tenant}.grpc.proto_folder of the connectors file"
    if context.settings.proto_folder is None:
        raise NotPermitted(f"{address} may not be read: set {setting} to the folder that it is in")
    folder = context.settings.proto_folder.resolve()
    if "\0" in unquote(address):
        raise InvalidArgument(f"{address!r} is not the address of a file")
    # As the specification writes them, file://app/greet.proto, the host is the first folder.
    file = (folder / unquote(parts.netloc + parts.path).lstrip("/")).resolve()
    if not file.is_relative_to(folder):
        raise NotPermitted(f"{address} is outside of {setting}")
    if not file.is_file():
        raise NotFound(f"{address} is not in {setting}")
    return Proto(str(file.relative_to(folder)), folder)


def _request(arguments: GrpcCall, schema: Schema, method: MethodDescriptor, limit: int) -> bytes:
    message: Message = GetMessageClass(method.input_type)()
    try:
        ParseDict(arguments.arguments, message, descriptor_pool=schema.pool)
    except ParseError as error:
        raise InvalidArgument(f"{method.input_type.full_name} does not take the arguments: {error}") from error
    request = message.SerializeToString()
    if len(request) > limit:
        raise InvalidArgument(f"the message has {len(request)} bytes, more than the tenant's {limit}")
    return request


async def _answers(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    request: bytes,
    metadata: list[tuple[str, str]],
    settings: GrpcSettings,
) -> list[bytes]:
    path = f"/{method.containing_service.full_name}/{method.name}"
    answers: list[bytes] = []
    try:
        if not method.server_streaming:
            return [
                await channel.unary_unary(path, None, None)(request, timeout=settings.call_seconds, metadata=metadata)
            ]
        stream = channel.unary_stream(path, None, None)(request, timeout=settings.call_seconds, metadata=metadata)
        size = 0
        try:
            async for answer in stream:
                answers.append(answer)
                size += len(answer)
                if len(answers) > settings.max_messages or size > settings.max_bytes:
                    raise Failed(
                        f"{method.full_name} streams more than the tenant's {settings.max_messages} messages or "
                        f"{settings.max_bytes} bytes"
                    )
        finally:
            stream.cancel()
    except grpc.aio.AioRpcError as error:
        raise refusal(method.full_name, error, answered=bool(answers)) from error
    return answers


def _json(method: MethodDescriptor, answer: bytes, schema: Schema) -> dict[str, Any]:
    message: Message = GetMessageClass(method.output_type)()
    try:
        message.ParseFromString(answer)
        read: dict[str, Any] = MessageToDict(
            message, always_print_fields_with_no_presence=True, descriptor_pool=schema.pool
        )
    # Bytes that are no such message, an Any of a type that the proto does not know, a date out of range.
    except (DecodeError, TypeError, ValueError) as error:
        raise Failed(f"{method.full_name} answered what is no {method.output_type.full_name}: {error}") from error
    return read


@asynccontextmanager
async def _channel(service: Service, context: ToolContext[GrpcSettings]) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that is connected. Raises, nothing being sent, `NotPermitted` or `Unavailable` if it never is."""
    settings = context.settings
    with nothing_begun():
        scheme, addresses = await _way(service, _egress(context))
        port = service.port or (443 if scheme == "grpcs" else 80)
        options = [
            ("grpc.max_receive_message_length", settings.max_bytes),
            ("grpc.enable_retries", 0),  # what may be sent again is for the ledger to say
            ("grpc.enable_http_proxy", 0),  # whom a proxy connects to could not be seen from here
            ("grpc.default_authority", f"{service.host}:{port}"),
        ]
        if scheme == "grpcs":
            roots = None if settings.ca_file is None else settings.ca_file.read_bytes()
            options.append(("grpc.ssl_target_name_override", service.host))
            channel = grpc.aio.secure_channel(_target(addresses, port), grpc.ssl_channel_credentials(roots), options)
        else:
            channel = grpc.aio.insecure_channel(_target(addresses, port), options)
    async with channel:
        with nothing_begun():
            await _connected(channel, f"{scheme}://{service.host}:{port}", settings.timeout)
        yield channel


async def _way(service: Service, way: Egress) -> tuple[str, list[str]]:
    """How and where a service is reached: over TLS, unless the tenant allows it only without."""
    try:
        return "grpcs", await way.addresses("grpcs", service.host, service.port)
    except NotPermitted as without:
        try:
            return "grpc", await way.addresses("grpc", service.host, service.port)
        except NotPermitted:
            raise without from None


def _target(addresses: list[str], port: int) -> str:
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


def _egress(context: ToolContext[Any]) -> Egress:
    return egress(context, connector.system)
