"""Sources of the kind grpc: methods of a service become tools. What is read and kept is a FileDescriptorSet."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import ClassVar

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from factotum.connectors.protocols import grpc_reflection
from factotum.connectors.protocols.grpc_exchange import opened
from factotum.connectors.protocols.protobuf import Schema
from factotum.connectors.protocols.protobuf_comments import comments
from factotum.runtime.secrets.names import SCHEME
from factotum.sdk.errors import RateLimited, ToolError, Unavailable
from factotum.sdk.tool import Connector
from factotum.tool_executor.sources.grpc import tools
from factotum.tool_executor.sources.grpc.config import GrpcConfig
from factotum.tool_executor.sources.source import Offer, SourceInvalid, SourceUnavailable, Surroundings


class GrpcSource:
    """The kind grpc. A document that is given is a FileDescriptorSet; then the service is not asked."""

    kind: ClassVar[str] = "grpc"
    config = GrpcConfig

    async def read(self, config: GrpcConfig, document: bytes, surroundings: Surroundings) -> bytes:
        if document:
            files = grpc_reflection.imports_first(_files(document).file)
        else:
            try:
                files = await _reflected(config, surroundings)
            except (Unavailable, RateLimited) as error:
                raise SourceUnavailable(error.message) from error
            except ToolError as error:
                raise SourceInvalid(error.message) from error
        return files.SerializeToString(deterministic=True)

    def offer(self, system: str, config: GrpcConfig, read: bytes) -> Offer:
        files = _files(read)
        try:
            schema = Schema(files)
            methods = [schema.method(service, name) for service, name in _named(files)]
        # What the pool raises for descriptors that contradict each other is of several types.
        except Exception as error:
            raise SourceInvalid(f"its descriptors do not fit together: {error}") from error
        service = tools.Described(system, config, schema.pool, comments(files))
        connector = Connector(system, settings=GrpcConfig)
        _check_patterns(config, methods)
        for method in methods:
            terms = config.terms_of(method)
            if terms is None or method.client_streaming:
                continue
            try:
                tool = tools.made(method, terms, service)
            except ValueError as error:
                raise SourceInvalid(f"{_full(method)}: {error}") from error
            if tool.spec.name in connector.tools:
                raise SourceInvalid(
                    f"two tools would be {tool.spec.name}: give {_full(method)} another name in methods"
                )
            connector.tools[tool.spec.name] = tool
        return Offer(connector, config)


async def _reflected(config: GrpcConfig, surroundings: Surroundings) -> FileDescriptorSet:
    metadata = [
        (name, await surroundings.secret(text) if text.startswith(SCHEME) else text)
        for name, text in config.metadata.items()
    ]
    if config.bearer:
        metadata.append(("authorization", f"Bearer {await surroundings.secret(config.bearer)}"))
    where = await tools.target(config, surroundings.system)
    async with opened(where, max_bytes=config.max_bytes, seconds=config.timeout) as channel:
        return await grpc_reflection.described(
            channel,
            config.takes_service,
            metadata=metadata,
            max_bytes=config.max_bytes,
            seconds=surroundings.seconds,
        )


def _files(text: bytes) -> FileDescriptorSet:
    try:
        return FileDescriptorSet.FromString(text)
    except DecodeError as error:
        raise SourceInvalid(
            "the document is no FileDescriptorSet: `protoc --include_imports --descriptor_set_out` writes one"
        ) from error


def _named(files: FileDescriptorSet) -> list[tuple[str, str]]:
    return [
        (f"{file.package}.{service.name}".removeprefix("."), method.name)
        for file in files.file
        for service in file.service
        for method in service.method
    ]


def _check_patterns(config: GrpcConfig, methods: list[MethodDescriptor]) -> None:
    """Raises `SourceInvalid` for a pattern that takes nothing, which is most often misspelt."""
    names = {_full(method): method for method in methods}
    for pattern in config.methods:
        found = [name for name in names if fnmatchcase(name, pattern)]
        usable = [name for name in found if not names[name].client_streaming]
        if found and not usable:
            raise SourceInvalid(f"{pattern} takes a stream of messages, and a call sends one")
        if not found:
            raise SourceInvalid(f"{pattern!r} takes nothing; it has {', '.join(sorted(names)) or 'no methods'}")


def _full(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"
