"""The kind grpc on real servers: what reflection tells becomes tools, which are called with JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from factotum.api.tools.v1 import tools_pb2_grpc
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    RateLimited,
    ToolError,
    Unavailable,
)
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.registry import AnyTool
from factotum.tool_executor.sources.grpc.config import GrpcConfig
from factotum.tool_executor.sources.grpc.source import GrpcSource
from factotum.tool_executor.sources.grpc.tools import snake
from factotum.tool_executor.sources.source import Offer, SourceInvalid, SourceUnavailable, Surroundings
from tests.support.certificate import certificate
from tests.support.grpc_library import NAME, compiled, library
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.tool_calls import closed_port, tool_context

LOAN: dict[str, Any] = {
    "book": {"title": "Emma", "volumes": [{"title": "I", "volumes": []}]},
    "readerName": "Ada",
    "days": 14,
    "number": "9007199254740993",
    "kind": "HOME",
    "until": "2026-11-24T09:00:00Z",
    "grace": "1.500s",
    "byPlace": {"desk": {"title": "Persuasion", "volumes": []}},
    "notes": ["mind the cover"],
    "cents": 2.5,
    "renewed": True,
    "scan": "AAE=",
    "more": {"any": [1, None]},
    "desk": "north",
}


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compiled(tmp_path_factory.mktemp("protos"))


def config(address: str, **given: Any) -> GrpcConfig:
    return GrpcConfig.model_validate({"address": address, "methods": {f"{NAME}/*": {}}, "timeout": 3, **given})


async def read(config: GrpcConfig, document: bytes = b"", **secrets: str) -> bytes:
    async def secret(reference: str) -> str:
        return secrets[reference.removeprefix("secret://")]

    return await GrpcSource().read(config, document, Surroundings("acme", "library", secret, 5.0))


def offered(config: GrpcConfig, text: bytes) -> Offer:
    return GrpcSource().offer("library", config, text)


async def call(tool: AnyTool, config: GrpcConfig, given: dict[str, Any], **secrets: str) -> Any:
    output = await tool.function(tool.arguments.model_validate(given), tool_context(config, **secrets))
    return tool.output.model_validate(output).model_dump()


def without_what_is_written_always(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name in LOAN}


@pytest.mark.parametrize("versions", [("v1",), ("v1alpha",), ("v1", "v1alpha")])
async def test_both_versions_of_reflection(descriptors: bytes, versions: tuple[str, ...]) -> None:
    async with library(descriptors, versions=versions) as served:
        taken = config(served.address)
        connector = offered(taken, await read(taken)).connector
    assert sorted(connector.tools) == [
        *("library.find_book", "library.lend_book", "library.put_back", "library.watch_loans")
    ]


async def test_a_call_goes_there_and_back_whole(descriptors: bytes) -> None:
    async with library(descriptors) as served:
        taken = config(
            served.address,
            metadata={"x-team": "it", "x-api-key": "secret://door"},
            bearer="secret://token",
            key_metadata="idempotency-key",
        )
        tools = offered(taken, await read(taken, token="t", door="k")).connector.tools
        answer = await call(tools["library.lend_book"], taken, LOAN, token="t0ken", door="k3y")
        assert without_what_is_written_always(answer) == LOAN
        name, metadata = served.calls[-1]
        assert name == "LendBook" and metadata["authorization"] == "Bearer t0ken"
        assert (metadata["x-team"], metadata["x-api-key"]) == ("it", "k3y")
        assert metadata["idempotency-key"] == tool_context(taken).idempotency_key
        small = await call(tools["library.lend_book"], taken, {"number": 7, "free": True}, token="t", door="k")
        assert (small["number"], small["free"], small["kind"]) == ("7", True, "KIND_UNSPECIFIED")
        stream = await call(tools["library.watch_loans"], taken, {"days": 3}, token="t", door="k")
        assert [loan["days"] for loan in stream["messages"]] == [0, 1, 2]


async def test_what_a_caller_may_not_give_is_a_fault_before_anything_is_sent(descriptors: bytes) -> None:
    taken = config("grpc://127.0.0.1:1")
    tool = offered(taken, await read(taken, descriptors)).connector.tools["library.lend_book"]
    for wrong, place in (
        ({"readername": "Ada"}, "not known"),
        ({"days": "many"}, "days"),
        ({"days": 2**31}, "days"),
        ({"number": "many"}, "number"),
        ({"kind": "GARDEN"}, "kind"),
        ({"cents": 1, "free": True}, "oneOf"),
        ({"book": {"volumes": [{"titel": "x"}]}}, "book.volumes.0"),
        ({"byPlace": {"a": 1}}, "byPlace.a"),
    ):
        with pytest.raises(ValidationError) as refused:
            tool.arguments.model_validate(wrong)
        assert place in str(refused.value)
    tool.arguments.model_validate({"cents": "NaN", "before": {"before": {"readerName": "Ada"}}})


async def test_the_contract(descriptors: bytes) -> None:
    taken = config(
        "grpc://127.0.0.1:1",
        methods={
            f"{NAME}/*": {},
            f"{NAME}/FindBook": {"effect": "none", "name": "find", "seconds": 5},
            f"{NAME}/PutBack": {
                "effect": "update",
                "idempotency": "native",
                "permissions": ["library.desk"],
                "compensation": {"call": "library.lend_book", "arguments": {"number": "${ .number }"}},
            },
        },
        without=["*/WatchLoans"],
    )
    tools = offered(taken, await read(taken, descriptors)).connector.tools
    assert sorted(tools) == ["library.find", "library.lend_book", "library.put_back"]
    lend, find, back = (tools[f"library.{name}"].spec for name in ("lend_book", "find", "put_back"))
    assert (lend.effect, lend.idempotency) == (Effect.EXECUTE, Idempotency.NONE)
    assert (find.effect, back.effect, back.idempotency) == (Effect.NONE, Effect.UPDATE, Idempotency.NATIVE)
    assert back.needed_permissions == ("library.desk",) and back.compensation is not None
    assert lend.description == "Lend a book to a reader."
    assert find.description == "Call library.v1.Library/FindBook."
    assert lend.input_schema["description"] == "What a reader has."
    assert lend.input_schema["properties"]["readerName"] == {"type": "string", "description": "Who reads it."}
    assert lend.input_schema["properties"]["before"] == {"$ref": "#/$defs/library.v1.Loan"}
    assert "days" in lend.output_schema["required"] and "book" not in lend.output_schema["required"]
    assert find.timeout_seconds < lend.timeout_seconds


async def test_what_the_proto_says_of_itself_counts_only_if_it_is_accepted(descriptors: bytes) -> None:
    def terms(**given: Any) -> dict[str, tuple[Effect, Idempotency]]:
        taken = config("grpc://127.0.0.1:1", **given)
        tools = offered(taken, descriptors).connector.tools
        return {name: (tool.spec.effect, tool.spec.idempotency) for name, tool in tools.items()}

    default, accepted = terms(), terms(accept_idempotency_level=True)
    assert set(default.values()) == {(Effect.EXECUTE, Idempotency.NONE)}
    assert accepted["library.find_book"] == (Effect.NONE, Idempotency.NATIVE)
    assert accepted["library.put_back"] == (Effect.EXECUTE, Idempotency.NATIVE)
    assert accepted["library.lend_book"] == (Effect.EXECUTE, Idempotency.NONE)
    own = terms(accept_idempotency_level=True, methods={f"{NAME}/FindBook": {"effect": "send"}})
    assert own["library.find_book"][0] is Effect.SEND


async def test_a_status_is_an_error(descriptors: bytes) -> None:
    statuses: list[tuple[str, type[ToolError], bool]] = [
        ("INVALID_ARGUMENT", InvalidArgument, False),
        ("NOT_FOUND", NotFound, False),
        ("ALREADY_EXISTS", Conflict, False),
        ("RESOURCE_EXHAUSTED", RateLimited, False),
        ("UNAVAILABLE", Unavailable, True),
        ("DATA_LOSS", Failed, True),
    ]
    async with library(descriptors) as served:
        taken = config(served.address)
        tools = offered(taken, descriptors).connector.tools
        for status, error, possible in statuses:
            with pytest.raises(error, match="said the library") as raised:
                await call(tools["library.lend_book"], taken, {"readerName": status})
            assert raised.value.effect_possible is possible


async def test_streams_are_bounded(descriptors: bytes) -> None:
    async with library(descriptors) as served:
        taken = config(served.address, max_messages=2)
        tools = offered(taken, descriptors).connector.tools
        assert len((await call(tools["library.watch_loans"], taken, {"days": 2}))["messages"]) == 2
        with pytest.raises(Failed, match="2 messages"):
            await call(tools["library.watch_loans"], taken, {"days": 3})


async def test_what_was_read_is_the_same_each_time(descriptors: bytes) -> None:
    async with library(descriptors) as served:
        taken = config(served.address)
        first = await read(taken)
        assert await read(taken) == first
        asked = served.reflected
        assert await read(taken, descriptors) != b"" and served.reflected == asked
    assert offered(taken, first).connector.tools.keys() == offered(taken, descriptors).connector.tools.keys()


async def test_a_source_that_cannot_be_read_says_why(descriptors: bytes) -> None:
    with pytest.raises(SourceUnavailable, match="no connection to grpc://127"):
        await read(config(f"grpc://127.0.0.1:{closed_port()}"))
    async with library(descriptors, versions=()) as served:
        with pytest.raises(SourceInvalid, match="no reflection"):
            await read(config(served.address))
    async with library(descriptors) as served:
        with pytest.raises(SourceInvalid, match=r"none of its services .* library\.v1\.Library"):
            await read(config(served.address, methods={"other.Service/*": {}}))
        served.token = "t0ken"
        assert await read(config(served.address, bearer="secret://t"), t="t0ken")
        with pytest.raises(SourceInvalid, match="who are you"):
            await read(config(served.address, bearer="secret://t"), t="wrong")
        with pytest.raises(SourceInvalid, match="larger than max"):
            await read(config(served.address, max_bytes=100, bearer="secret://t"), t="t0ken")
    with pytest.raises(SourceInvalid, match="no FileDescriptorSet"):
        await read(config("grpc://h:1"), b"\xff\xff")


async def test_what_makes_no_tools_says_why(descriptors: bytes) -> None:
    for methods, words in (
        ({f"{NAME}/LendBok": {}}, "takes nothing; it has .*LendBook"),
        ({f"{NAME}/Gather": {}}, "stream of messages"),
        ({f"{NAME}/*": {"name": "one"}}, "two tools would be library.one"),
    ):
        taken = config("grpc://127.0.0.1:1", methods=methods)
        with pytest.raises(SourceInvalid, match=words):
            offered(taken, descriptors)
    broken = descriptors.replace(b"library/shelf.proto", b"library/shelv.proto", 1)
    with pytest.raises(SourceInvalid, match="do not fit together"):
        offered(config("grpc://127.0.0.1:1"), broken)


def test_a_configuration_that_cannot_be_used_is_refused() -> None:
    for given, words in (
        ({"address": "https://h"}, "address is"),
        ({"address": "grpc://h:1/path"}, "address is"),
        ({"address": "grpc://u:p@h:1"}, "address is"),
        ({"address": "grpc://h:x"}, "address"),
        ({"metadata": {"Authorization": "x"}}, "no key of text metadata"),
        ({"metadata": {"authorization": "hunter2"}}, "holds the value of authorization"),
        ({"metadata": {"grpc-timeout": "1"}}, "no key"),
        ({"bearer": "hunter2"}, "bearer"),
        ({"bearer": "secret://t", "metadata": {"authorization": "secret://t"}}, "give one"),
        ({"certificates": "x"}, "grpcs"),
        ({"methods": {"*": {"effect": "none", "idempotency": "none"}}}, "no effect"),
        ({"methods": {"*": {"idempotency": "reconcile"}}}, "idempotency"),
        ({"unknown": 1}, "unknown"),
    ):
        with pytest.raises(ValidationError, match=words):
            GrpcConfig.model_validate({"address": "grpc://h:1", **given})


async def test_our_own_services_are_sources_too() -> None:
    class Nothing(tools_pb2_grpc.ToolExecutorServiceServicer):  # type: ignore[misc]
        pass

    name = "factotum.api.tools.v1.ToolExecutorService"
    server = GrpcServer(
        GrpcSettings(port=0),
        [name],
        [lambda server: tools_pb2_grpc.add_ToolExecutorServiceServicer_to_server(Nothing(), server)],
    )
    await server.start()
    try:
        taken = config(
            f"grpc://127.0.0.1:{server.port}",
            methods={"grpc.health.v1.Health/Check": {"effect": "none"}, f"{name}/*": {}},
        )
        tools = offered(taken, await read(taken)).connector.tools
        assert await call(tools["library.check"], taken, {"service": name}) == {"status": "SERVING"}
        with pytest.raises(InvalidArgument, match="UNIMPLEMENTED"):
            await call(tools["library.list_tools"], taken, {"tenant": "acme", "withoutSchemas": True})
    finally:
        await server.stop()


async def test_over_tls(descriptors: bytes, tmp_path: Path) -> None:
    pem = certificate(tmp_path, datetime.now(UTC)).read_bytes()
    async with library(descriptors, tls=(pem, pem)) as served:
        address = f"grpcs://127.0.0.1:{served.port}"
        taken = config(address, certificates=pem.decode().partition("-----BEGIN PRIVATE")[0])
        tools = offered(taken, await read(taken)).connector.tools
        assert (await call(tools["library.find_book"], taken, {"readerName": "Ada"}))["readerName"] == "Ada"
        with pytest.raises(SourceUnavailable):
            await read(config(address))
        with pytest.raises(SourceUnavailable):
            await read(config(address.replace("grpcs", "grpc")))


@pytest.mark.parametrize("point", KillPoint)
async def test_killed_anywhere_it_is_done_once_or_a_person_is_asked(
    descriptors: bytes, tmp_path: Path, point: KillPoint
) -> None:
    async with library(descriptors) as served:
        native = config(
            served.address,
            key_metadata="idempotency-key",
            methods={f"{NAME}/LendBook": {"effect": "create", "idempotency": "native"}},
        )
        house = House(offered(native, descriptors).connector, native, tmp_path / "native", {})
        answer = await killed_and_called_again(house, "library.lend_book", {"readerName": "Ada"}, point)
        assert answer.error is None and served.lent == ["Ada"]
        unknown = config(served.address)
        house = House(offered(unknown, descriptors).connector, unknown, tmp_path / "unknown", {})
        answer = await killed_and_called_again(house, "library.lend_book", {"readerName": "Eve"}, point)
        assert served.lent.count("Eve") == (0 if point is KillPoint.BEFORE_THE_CALL else 1)
        assert isinstance(answer.error, Ambiguous) is (point is not KillPoint.AFTER_THE_LEDGER)


def test_snake() -> None:
    assert [snake(name) for name in ("GetBook", "GetURL", "HTTPGet", "get", "V2List")] == [
        *("get_book", "get_url", "http_get", "get", "v2_list")
    ]
