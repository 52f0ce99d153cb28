"""A method of a gRPC service as a tool: its messages are the arguments and the output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from factotum.connectors.protocols import protobuf_schema
from factotum.connectors.protocols.external_resource import nothing_begun
from factotum.connectors.protocols.grpc_exchange import Bounds, Target, answers, as_json, opened, written
from factotum.runtime.secrets.names import SCHEME
from factotum.sdk.context import ToolContext
from factotum.sdk.egress import Egress
from factotum.sdk.errors import Conflict, Failed, InvalidArgument, NotFound, NotPermitted, RateLimited, Unavailable
from factotum.sdk.spec import Effect, Idempotency, ToolSpec
from factotum.sdk.tool import Tool
from factotum.tool_executor.schema_model import SchemaModel, schema_model
from factotum.tool_executor.sources.grpc.config import GrpcConfig, Terms

_ERRORS = (InvalidArgument, NotPermitted, NotFound, Conflict, RateLimited, Unavailable, Failed)
# Beyond the deadline of the call itself, for connecting and reading.
_SPARE_SECONDS = 15.0

# Where a stream's messages stand: an output is an object.
MESSAGES = "messages"


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of all methods of a service."""

    system: str
    config: GrpcConfig
    pool: DescriptorPool
    comments: Mapping[str, str]


def made(method: MethodDescriptor, terms: Terms, service: Described) -> Tool[SchemaModel, SchemaModel, GrpcConfig]:
    """Raises `ValueError` for what makes no tool."""
    config, comments = service.config, service.comments
    given = protobuf_schema.schema(method.input_type, given=True, comments=comments)
    answered = protobuf_schema.schema(method.output_type, given=False, comments=comments)
    if method.server_streaming:
        defs = answered.pop("$defs", None)
        answered = {
            "type": "object",
            "required": [MESSAGES],
            "properties": {MESSAGES: {"type": "array", "items": answered}},
        }
        answered |= {"$defs": defs} if defs else {}
    full = f"{method.containing_service.full_name}/{method.name}"
    arguments, output = schema_model("Arguments", given), schema_model("Output", answered)
    seconds = terms.seconds or config.seconds
    spec = ToolSpec(
        name=f"{service.system}.{terms.name or snake(method.name)}",
        version=config.version,
        description=terms.description or comments.get(method.full_name) or f"Call {full}.",
        effect=terms.effect or Effect.EXECUTE,
        idempotency=terms.idempotency or Idempotency.NONE,
        input_schema=given,
        output_schema=answered,
        timeout_seconds=min(seconds + config.timeout + _SPARE_SECONDS, 3600.0),
        permissions=terms.permissions,
        compensation=terms.compensation,
        errors=tuple(error.kind for error in _ERRORS),
        rate_limit=terms.rate_limit,
        concurrency=terms.concurrency,
    )
    call = _Call(method, service.pool, spec, seconds)
    return Tool(spec, call, arguments, output)


def snake(name: str) -> str:
    """`get_book` of `GetBook`, `get_url` of `GetURL`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")


class _Call:
    def __init__(self, method: MethodDescriptor, pool: DescriptorPool, spec: ToolSpec, seconds: float) -> None:
        self._method, self._pool, self._spec, self._seconds = method, pool, spec, seconds

    async def __call__(self, arguments: SchemaModel, context: ToolContext[GrpcConfig]) -> SchemaModel:
        config, method = context.settings, self._method
        with nothing_begun():
            request = written(method, arguments.root, self._pool, limit=config.max_bytes)
            metadata = [(name, _value(text, context)) for name, text in config.metadata.items()]
            if config.bearer:
                metadata.append(("authorization", f"Bearer {context.secret(config.bearer)}"))
            if config.key_metadata is not None and self._spec.effect is not Effect.NONE:
                metadata.append((config.key_metadata, context.idempotency_key))
            where = await target(config, self._spec.system)
        bounds = Bounds(self._seconds, config.max_messages, config.max_bytes)
        async with opened(where, max_bytes=config.max_bytes, seconds=config.timeout) as channel:
            got = await answers(channel, method, request, metadata, bounds)
        read: list[Any] = [as_json(method, answer, self._pool) for answer in got]
        return SchemaModel({MESSAGES: read} if method.server_streaming else read[0])


async def target(config: GrpcConfig, system: str) -> Target:
    """Where the service is. Only its own address is reached: whoever wrote it meant it. Raises `Unavailable`."""
    scheme, host, port = config.way
    way = Egress([config.address], where=f"the address of the source {system}")
    addresses = await way.addresses(scheme, host, port)
    return Target(scheme, host, port, addresses, config.certificates.encode() or None)


def _value(text: str, context: ToolContext[GrpcConfig]) -> str:
    return context.secret(text) if text.startswith(SCHEME) else text
