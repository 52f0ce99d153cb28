"""Calls of gRPC methods that a `.proto` file describes (`call: grpc`).

The tenant's allow-list says how a service is reached: `grpcs://host:port` over TLS, `grpc://host:port` without.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from pydantic import BaseModel, ConfigDict, DirectoryPath, Field, FilePath, RootModel

from factotum.connectors.protocols.authentication import Authentication, authorization
from factotum.connectors.protocols.egress import Egress, EgressSettings, egress
from factotum.connectors.protocols.external_resource import ExternalResource, nothing_begun, read
from factotum.connectors.protocols.grpc_exchange import Bounds, Target, answers, as_json, opened, written
from factotum.connectors.protocols.protobuf import Compiler, Proto, Schema
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, InvalidArgument, NotFound, NotPermitted
from factotum.sdk.http import HTTP_ERRORS
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector


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


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=300.0,
    # A proto may have to be fetched, and a status of gRPC means no other kinds.
    errors=(*HTTP_ERRORS, Ambiguous),
    examples=[
        Example(
            title="Ask for a book",
            arguments={
                "proto": {"endpoint": "https://schemas.example.com/library.proto"},
                "service": {"name": "library.v1.Library", "host": "library.example.com", "port": 443},
                "method": "GetBook",
                "arguments": {"isbn": "9780141439471"},
            },
            output={"isbn": "9780141439471", "title": "Frankenstein"},
        )
    ],
)
async def call(arguments: GrpcCall, context: ToolContext[GrpcSettings]) -> GrpcOutput:
    """Call a method of a gRPC service."""
    settings = context.settings
    with nothing_begun():
        schema, method = await _described(arguments, context)
        request = written(method, arguments.arguments, schema.pool, limit=settings.max_bytes)
        policy = arguments.service.authentication
        shown = await authorization(policy, context, _egress(context), timeout=settings.timeout)
        target = await _target(arguments.service, context)
    metadata = [] if shown is None else [("authorization", shown)]
    bounds = Bounds(settings.call_seconds, settings.max_messages, settings.max_bytes)
    async with opened(target, max_bytes=settings.max_bytes, seconds=settings.timeout) as channel:
        got = await answers(channel, method, request, metadata, bounds)
    read = [as_json(method, answer, schema.pool) for answer in got]
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


async def _target(service: Service, context: ToolContext[GrpcSettings]) -> Target:
    """Raises, nothing being sent, `NotPermitted` or `Unavailable`."""
    settings = context.settings
    scheme, addresses = await _way(service, _egress(context))
    port = service.port or (443 if scheme == "grpcs" else 80)
    trusted = settings.ca_file if scheme == "grpcs" else None
    return Target(scheme, service.host, port, addresses, None if trusted is None else trusted.read_bytes())


async def _way(service: Service, way: Egress) -> tuple[str, list[str]]:
    """How and where a service is reached: over TLS, unless the tenant allows it only without."""
    try:
        return "grpcs", await way.addresses("grpcs", service.host, service.port)
    except NotPermitted as without:
        try:
            return "grpc", await way.addresses("grpc", service.host, service.port)
        except NotPermitted:
            raise without from None


def _egress(context: ToolContext[Any]) -> Egress:
    return egress(context, connector.system)
