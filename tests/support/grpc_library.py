"""A gRPC service with server reflection, whose messages are made from its proto at run time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from factotum.connectors.protocols.protobuf import Schema

LIBRARY = """
syntax = "proto3";
package library.v1;
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "library/shelf.proto";

// Lends books.
service Library {
  // Lend a book
  // to a reader.
  //
  // Only if it is there.
  rpc LendBook(Loan) returns (Loan);
  rpc FindBook(Loan) returns (Loan) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc PutBack(Loan) returns (Loan) { option idempotency_level = IDEMPOTENT; }
  rpc WatchLoans(Loan) returns (stream Loan);
  rpc Gather(stream Loan) returns (Loan);
}

// What a reader has.
message Loan {
  enum Kind { KIND_UNSPECIFIED = 0; READING_ROOM = 1; HOME = 2; }
  Book book = 1;
  // Who reads it.
  string reader_name = 2;
  int32 days = 3;
  int64 number = 4;
  Kind kind = 5;
  google.protobuf.Timestamp until = 6;
  google.protobuf.Duration grace = 7;
  map<string, Book> by_place = 8;
  repeated string notes = 9;
  oneof paid { double cents = 10; bool free = 11; }
  optional bool renewed = 12;
  bytes scan = 13;
  google.protobuf.Struct more = 14;
  google.protobuf.StringValue desk = 15;
  Loan before = 16;
}
"""
SHELF = """
syntax = "proto3";
package library.v1;
message Book { string title = 1; repeated Book volumes = 2; }
"""
NAME = "library.v1.Library"


def compiled(folder: Path) -> bytes:
    """The FileDescriptorSet of the library, with its comments, as protoc writes it."""
    (folder / "library").mkdir(parents=True)
    (folder / "library/library.proto").write_text(LIBRARY)
    (folder / "library/shelf.proto").write_text(SHELF)
    with resources.as_file(resources.files("grpc_tools") / "_proto") as well_known:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{well_known}", "--include_imports"]
        command += ["--include_source_info", f"--descriptor_set_out={folder / 'set'}", "library/library.proto"]
        subprocess.run(command, check=True)
    return (folder / "set").read_bytes()


class Library:
    """It gives loans back. A reader who is named as a status is answered with that status. Of calls with one
    `idempotency-key`, `LendBook` lends once; `lent` has the readers."""

    def __init__(self, descriptors: bytes) -> None:
        self.descriptors = descriptors
        self.port = 0
        self.calls: list[tuple[str, dict[str, str]]] = []
        # How often reflection was asked for something.
        self.reflected = 0
        self.token = ""
        self.lent: list[str] = []
        self._keys: set[str] = set()

    @property
    def address(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def serve(self, server: grpc.aio.Server, *, versions: tuple[str, ...]) -> None:
        schema = Schema(FileDescriptorSet.FromString(self.descriptors))
        loan = GetMessageClass(schema.method(NAME, "LendBook").input_type)

        def unary(method: str) -> grpc.RpcMethodHandler[Any, Any]:
            async def answer(request: Any, context: Any) -> Any:
                self.calls.append((method, {key: str(value) for key, value in context.invocation_metadata()}))
                if request.reader_name in grpc.StatusCode.__members__:
                    await context.abort(grpc.StatusCode[request.reader_name], "said the library")
                key = str(dict(context.invocation_metadata()).get("idempotency-key", ""))
                if method == "LendBook" and key not in self._keys:
                    self.lent.append(request.reader_name)
                    self._keys |= {key} if key else set()
                return request

            return grpc.unary_unary_rpc_method_handler(answer, loan.FromString, loan.SerializeToString)

        async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
            for day in range(request.days):
                yield loan(reader_name=request.reader_name, days=day)

        methods = {method: unary(method) for method in ("LendBook", "FindBook", "PutBack")}
        methods["WatchLoans"] = grpc.unary_stream_rpc_method_handler(watch, loan.FromString, loan.SerializeToString)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, methods),))
        servicer = ReflectionServicer((NAME, reflection.SERVICE_NAME), schema.pool)

        async def reflect(requests: Any, context: Any) -> AsyncIterator[Any]:
            if self.token and dict(context.invocation_metadata()).get("authorization") != f"Bearer {self.token}":
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
            async for answer in servicer.ServerReflectionInfo(requests, context):
                self.reflected += 1
                yield answer

        handler = grpc.stream_stream_rpc_method_handler(
            reflect,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        for version in versions:
            name = f"grpc.reflection.{version}.ServerReflection"
            handlers = {"ServerReflectionInfo": handler}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))


@asynccontextmanager
async def library(
    descriptors: bytes, *, versions: tuple[str, ...] = ("v1alpha",), tls: tuple[bytes, bytes] | None = None
) -> AsyncIterator[Library]:
    """On a free port of loopback. `tls`: its key and its certificate."""
    server, served = grpc.aio.server(), Library(descriptors)
    served.serve(server, versions=versions)
    if tls is None:
        served.port = server.add_insecure_port("127.0.0.1:0")
    else:
        served.port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([tls]))
    await server.start()
    try:
        yield served
    finally:
        await server.stop(None)
