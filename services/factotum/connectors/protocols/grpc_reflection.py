"""What a gRPC server says of its own services: server reflection, versions v1 and v1alpha.

Source: grpc.reflection.v1.ServerReflection of the gRPC repository; the messages of both versions are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from factotum.connectors.protocols.grpc_status import refusal
from factotum.sdk.errors import Failed, InvalidArgument

REFLECTION = "grpc.reflection."
MOST_FILES = 2000
_VERSIONS = ("v1", "v1alpha")


async def described(
    channel: grpc.aio.Channel,
    wanted: Callable[[str], bool],
    *,
    metadata: Iterable[tuple[str, str]],
    max_bytes: int,
    seconds: float,
) -> FileDescriptorSet:
    """The files of the services that are wanted by their full names, and all that these import, imports first.

    Raises `InvalidArgument` for a server without reflection or without such a service, `Failed` for descriptors
    beyond the bounds, and what the status of a failed request means.
    """
    sent = tuple(metadata)
    for version in _VERSIONS:
        try:
            return await _Asking(channel, version, sent, max_bytes, seconds).described(wanted)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise refusal("server reflection", error, answered=False) from error
    raise InvalidArgument(
        "the server has no reflection (grpc.reflection.v1 or v1alpha): give its descriptors, as "
        "`protoc --include_imports --descriptor_set_out` writes them"
    )


class _Asking:
    """Each question is a call of its own, with one request: where the service is not there, writing into a
    conversation that has ended would hide why."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        version: str,
        metadata: tuple[tuple[str, str], ...],
        max_bytes: int,
        seconds: float,
    ) -> None:
        self._method: Any = channel.unary_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        self._metadata = metadata
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._files: dict[str, FileDescriptorProto] = {}
        self._size = 0

    async def described(self, wanted: Callable[[str], bool]) -> FileDescriptorSet:
        answer = await self._ask(ServerReflectionRequest(list_services="*"))
        there_are = sorted(service.name for service in answer.list_services_response.service)
        chosen = [name for name in there_are if not name.startswith(REFLECTION) and wanted(name)]
        if not chosen:
            raise InvalidArgument(f"none of its services is taken; it has {', '.join(there_are) or 'none'}")
        for name in chosen:
            await self._add(ServerReflectionRequest(file_containing_symbol=name))
        while missing := sorted({name for file in self._files.values() for name in file.dependency} - {*self._files}):
            for name in missing:
                await self._add(ServerReflectionRequest(file_by_filename=name))
        return imports_first(self._files.values())

    async def _add(self, request: ServerReflectionRequest) -> None:
        answer = await self._ask(request)
        before = len(self._files)
        for text in answer.file_descriptor_response.file_descriptor_proto:
            self._size += len(text)
            try:
                file = FileDescriptorProto.FromString(text)
            except DecodeError as error:
                raise Failed("the server's reflection answered what is no descriptor", effect_possible=False) from error
            self._files.setdefault(file.name, file)
        if self._size > self._max_bytes or len(self._files) > MOST_FILES:
            raise Failed(f"its descriptors have more than {self._max_bytes} bytes or {MOST_FILES} files")
        name = request.file_by_filename
        if len(self._files) == before or (name and name not in self._files):
            # A server that answers with something else would be asked for ever.
            what = name or request.file_containing_symbol
            if what not in self._files and not self._has(what):
                raise Failed(f"the server's reflection has not {what}", effect_possible=False)

    def _has(self, service: str) -> bool:
        return any(
            f"{file.package}.{one.name}".removeprefix(".") == service
            for file in self._files.values()
            for one in file.service
        )

    async def _ask(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        call = self._method(request, timeout=self._seconds, metadata=self._metadata)
        try:
            answer = await call.read()
        finally:
            call.cancel()
        if not isinstance(answer, ServerReflectionResponse):
            raise Failed("the server's reflection ended before it answered", effect_possible=False)
        if answer.HasField("error_response"):
            said = answer.error_response
            raise Failed(f"the server's reflection answered {said.error_code}: {said.error_message[:500]}")
        return answer


def imports_first(files: Iterable[FileDescriptorProto]) -> FileDescriptorSet:
    """In the one order in which a file comes after what it imports, else by name."""
    by_name = {file.name: file for file in files}
    ordered: dict[str, FileDescriptorProto] = {}
    # Depth first, without recursion: imports may be deep.
    for first in sorted(by_name):
        stack = [first]
        begun: set[str] = set()
        while stack:
            name = stack[-1]
            rest = [other for other in sorted(by_name[name].dependency) if other in by_name and other not in ordered]
            if name in ordered or not [other for other in rest if other not in begun]:
                ordered.setdefault(name, by_name[name])
                stack.pop()
                continue
            begun.add(name)
            stack += [other for other in rest if other not in begun]
    return FileDescriptorSet(file=ordered.values())
