"""grpc.call against a real server, its messages made from the .proto that the tool reads too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass

from factotum.connectors.protocols.grpc import GrpcCall, GrpcSettings, call
from factotum.connectors.protocols.protobuf import Compiler, Proto
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)
from factotum.sdk.spec import Effect, Idempotency
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import closed_port, tool_context

PROTO = """
syntax = "proto3";
package lending.v1;
import "google/protobuf/timestamp.proto";
import "shelf/book.proto";
service Lending {
  rpc Lend(Loan) returns (Loan);
  rpc Find(Loan) returns (Loan) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Return(Loan) returns (Loan) { option idempotency_level = IDEMPOTENT; }
  rpc Watch(Loan) returns (stream Loan);
  rpc Gather(stream Loan) returns (Loan);
}
message Loan { Book book = 1; string reader_name = 2; int32 days = 3; google.protobuf.Timestamp until = 4; }
"""
BOOK = 'syntax = "proto3"; package lending.v1; message Book { string title = 1; }'
ALONE = PROTO.replace('import "shelf/book.proto";', "message Book { string title = 1; }")
LOAN = {"book": {"title": "Emma"}, "readerName": "Ada", "until": "2026-11-24T09:00:00Z"}


class Library:
    """Serves Lending: it gives loans back; readers named like a status are answered with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.metadata: dict[str, str] = {}

    async def start(self, server: grpc.aio.Server) -> None:
        schema = await Compiler().schema(Proto("app/lending.proto", self.folder))
        loan = GetMessageClass(schema.method("lending.v1.Lending", "Lend").input_type)

        async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
            self.metadata = dict(context.invocation_metadata())
            assert MessageToDict(request)["until"] == LOAN["until"]
            if request.reader_name in grpc.StatusCode.__members__:
                await context.abort(grpc.StatusCode[request.reader_name], "said the library")
            if request.reader_name == "LONG":
                request.reader_name *= 100
            return request

        async def stream(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            for day in range(request.days):
                yield loan(reader_name=request.reader_name, days=day)
            if request.reader_name in grpc.StatusCode.__members__:
                await context.abort(grpc.StatusCode[request.reader_name], "said the library")

        unary = grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=loan.FromString, response_serializer=loan.SerializeToString
        )
        streaming = grpc.unary_stream_rpc_method_handler(
            stream, request_deserializer=loan.FromString, response_serializer=loan.SerializeToString
        )
        methods = {"Lend": unary, "Find": unary, "Return": unary, "Watch": streaming}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("lending.v1.Lending", methods),))
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()


@pytest_asyncio.fixture(scope="module")
async def library(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Library]:
    folder = tmp_path_factory.mktemp("protos")
    (folder / "app").mkdir()
    (folder / "shelf").mkdir()
    (folder / "app/lending.proto").write_text(PROTO)
    (folder / "shelf/book.proto").write_text(BOOK)
    server, library = grpc.aio.server(), Library(folder)
    await library.start(server)
    yield library
    await server.stop(None)


def settings(library: Library, **given: Any) -> GrpcSettings:
    allow = [f"grpc://127.0.0.1:{library.port}", "http://127.0.0.1:*"]
    return GrpcSettings(**{"allow": allow, "proto_folder": library.folder, "timeout": 5, **given})


def asked(library: Library, method: str = "Lend", *, proto: str = "file://app/lending.proto", **given: Any) -> GrpcCall:
    service = {"name": "lending.v1.Lending", "host": "127.0.0.1", "port": library.port}
    for name in ("authentication", "port"):
        if name in given:
            service[name] = given.pop(name)
    return GrpcCall.model_validate(
        {"proto": {"endpoint": proto}, "service": service, "method": method, "arguments": LOAN | given}
    )


async def ask(library: Library, method: str = "Lend", *, limits: dict[str, Any] | None = None, **given: Any) -> Any:
    context = tool_context(settings(library, **(limits or {})))
    return (await call.function(asked(library, method, **given), context)).root


async def test_a_message_goes_there_and_back(library: Library) -> None:
    assert await ask(library) == LOAN | {"days": 0}, "a field at its default is there too"
    assert "authorization" not in library.metadata


async def test_a_token_travels_as_metadata(library: Library) -> None:
    await ask(library, authentication={"bearer": {"token": "t0ken"}})
    assert library.metadata["authorization"] == "Bearer t0ken"


async def test_a_stream_is_a_list(library: Library) -> None:
    assert [loan["days"] for loan in await ask(library, "Watch", days=3)] == [0, 1, 2]
    assert await ask(library, "Watch", days=0) == []


async def test_a_proto_is_read_over_http_and_kept(library: Library) -> None:
    async with scripted_http(Answer(body=ALONE.encode())) as web:
        for _ in range(2):
            await ask(library, proto=f"{web.url}/lending.proto")
        assert len(web.requests) == 2
    assert (await ask(library))["readerName"] == "Ada"


@pytest.mark.parametrize(
    ("status", "error", "possible"),
    [
        ("INVALID_ARGUMENT", InvalidArgument, False),
        ("UNIMPLEMENTED", InvalidArgument, False),
        ("NOT_FOUND", NotFound, False),
        ("ALREADY_EXISTS", Conflict, False),
        ("FAILED_PRECONDITION", Conflict, False),
        ("PERMISSION_DENIED", NotPermitted, False),
        ("UNAUTHENTICATED", NotPermitted, False),
        ("RESOURCE_EXHAUSTED", RateLimited, False),
        ("ABORTED", Unavailable, False),
        ("UNAVAILABLE", Unavailable, True),
        ("DEADLINE_EXCEEDED", Unavailable, True),
        ("INTERNAL", Failed, True),
        ("UNKNOWN", Failed, True),
    ],
)
async def test_what_a_status_says(library: Library, status: str, error: type[ToolError], possible: bool) -> None:
    with pytest.raises(error, match=f"Lend answered {status}: said the library") as caught:
        await ask(library, readerName=status)
    assert type(caught.value) is error and caught.value.effect_possible is possible
    with pytest.raises(error) as caught:
        await ask(library, "Watch", readerName=status, days=1)
    assert caught.value.effect_possible, "a message came before"


async def test_an_answer_is_bounded(library: Library) -> None:
    with pytest.raises(Failed, match="larger than max") as caught:
        await ask(library, readerName="LONG", limits={"max_bytes": 100})
    assert caught.value.effect_possible
    with pytest.raises(Failed, match="more than the tenant's 5 messages"):
        await ask(library, "Watch", days=6, limits={"max_messages": 5})
    with pytest.raises(InvalidArgument, match="more than the tenant's"):
        await ask(library, readerName="A" * 100, limits={"max_bytes": 100})


async def test_what_the_proto_does_not_describe(library: Library) -> None:
    with pytest.raises(InvalidArgument, match="no method 'Burn'"):
        await ask(library, "Burn")
    with pytest.raises(InvalidArgument, match='no field named "colour"'):
        await ask(library, colour="red")
    with pytest.raises(InvalidArgument, match="takes a stream"):
        await ask(library, "Gather")


async def test_protoc_says_what_is_wrong_with_a_proto(library: Library) -> None:
    async with scripted_http(Answer(body=b'syntax = "proto3";\nmessage {')) as web:
        with pytest.raises(InvalidArgument, match=r"lending\.proto:2:9"):
            await ask(library, proto=f"{web.url}/lending.proto")


async def test_files_are_read_in_the_folder_of_the_tenant_only(library: Library, tmp_path: Path) -> None:
    outside = library.folder.parent / "outside.proto"
    outside.write_text(ALONE)
    for address in ("file://../outside.proto", f"file://{outside}", "file:///app/%2e%2e/%2e%2e/outside.proto"):
        with pytest.raises((NotPermitted, NotFound)):
            await ask(library, proto=address)
    with pytest.raises(NotPermitted, match=r"set tenants\.acme\.grpc\.proto_folder"):
        await ask(library, limits={"proto_folder": None})
    with pytest.raises(NotFound):
        await ask(library, proto="file://app/no.proto")
    with pytest.raises(InvalidArgument):
        await ask(library, proto="file://app/%00.proto")


async def test_nothing_is_reached_that_is_not_allowed(library: Library) -> None:
    with pytest.raises(NotPermitted, match=f"'grpcs://127.0.0.1:{library.port}'"):
        await ask(library, limits={"allow": ["http://127.0.0.1:*"]})
    with pytest.raises(NotPermitted):
        await ask(library, proto="https://10.0.0.1/x.proto")


async def test_a_service_that_is_not_there(library: Library) -> None:
    port = closed_port()
    with pytest.raises(Unavailable, match="no connection") as caught:
        await ask(library, port=port, limits={"allow": [f"grpc://127.0.0.1:{port}"]})
    assert not caught.value.effect_possible


async def test_a_service_without_tls_is_not_spoken_to_over_tls(library: Library) -> None:
    with pytest.raises(Unavailable) as caught:
        await ask(library, limits={"allow": [f"grpcs://127.0.0.1:{library.port}"]})
    assert not caught.value.effect_possible


async def test_the_proto_says_what_a_method_does(library: Library) -> None:
    assert call.narrower is not None
    for method, expected in {
        "Lend": (Effect.EXECUTE, Idempotency.RECONCILE),
        "Find": (Effect.NONE, Idempotency.NATIVE),
        "Return": (Effect.EXECUTE, Idempotency.NATIVE),
    }.items():
        assert await call.narrower(asked(library, method), tool_context(settings(library))) == expected


async def test_nobody_can_be_asked_what_became_of_a_call(library: Library) -> None:
    assert call.reconciler is not None
    with pytest.raises(Ambiguous, match="IDEMPOTENT"):
        await call.reconciler(asked(library), tool_context(settings(library)))
