"""The planner's catalog, asked of a tool executor: by name, seldom, and not at all while it is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.api.tools.v1 import tools_pb2_grpc
from factotum.planner.catalog import FRESH_SECONDS, ToolCatalog
from factotum.planner.errors import CatalogUnavailable
from factotum.runtime.tool_specs import message_of
from factotum.sdk.spec import Effect, Idempotency, ToolSpec


def spec(name: str, version: str = "1.0.0") -> ToolSpec:
    return ToolSpec(
        name=name,
        version=version,
        description="",
        effect=Effect.NONE,
        idempotency=Idempotency.NATIVE,
        input_schema={"type": "object"},
        output_schema={},
    )


class Executor(tools_pb2_grpc.ToolExecutorServiceServicer):  # type: ignore[misc]
    def __init__(self) -> None:
        self.tools = {name: spec(name) for name in ("a.one", "a.two", "a.three")}
        self.requests: list[pb.ListToolsRequest] = []
        self.away = False
        self.seconds = 0.0

    async def ListTools(self, request: pb.ListToolsRequest, context: Any) -> pb.ListToolsResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.requests.append(request)
        wanted = [tool for name, tool in self.tools.items() if not request.names or name in request.names]
        return pb.ListToolsResponse(
            tools=[message_of(tool, source="installed", schemas=not request.without_schemas) for tool in wanted]
        )

    @property
    def asked(self) -> list[list[str]]:
        return [list(request.names) for request in self.requests]


@pytest.fixture
async def executor() -> AsyncIterator[tuple[Executor, ToolCatalog]]:
    served, server = Executor(), grpc.aio.server()
    tools_pb2_grpc.add_ToolExecutorServiceServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield served, ToolCatalog(channel, monotonic=lambda: served.seconds)
    await server.stop(None)


async def test_what_is_known_is_not_asked_again_for_a_moment(executor: tuple[Executor, ToolCatalog]) -> None:
    served, catalog = executor
    first = await catalog.get("acme", ["a.one", "b.none"])
    assert first == {"a.one": spec("a.one")}
    assert await catalog.get("acme", ["a.two", "a.one"]) == {"a.one": spec("a.one"), "a.two": spec("a.two")}
    assert await catalog.get("acme", []) == {}
    assert served.asked == [["a.one", "b.none"], ["a.two"]]
    served.tools["b.none"] = spec("b.none")
    served.tools["a.one"] = spec("a.one", "2.0.0")
    served.seconds = FRESH_SECONDS
    assert {name: tool.version for name, tool in (await catalog.get("acme", ["a.one", "b.none"])).items()} == {
        "a.one": "2.0.0",
        "b.none": "1.0.0",
    }
    assert await catalog.get("globex", ["a.two"]) == {"a.two": spec("a.two")}
    assert served.requests[-1].tenant == "globex"


async def test_what_has_not_changed_is_the_same_object(executor: tuple[Executor, ToolCatalog]) -> None:
    served, catalog = executor
    before = await catalog.get("acme", ["a.one"])
    served.seconds = FRESH_SECONDS
    after = await catalog.get("acme", ["a.one"])
    assert len(served.requests) == 2 and after["a.one"] is before["a.one"]


async def test_while_the_executor_is_away_the_last_one_known_counts(executor: tuple[Executor, ToolCatalog]) -> None:
    served, catalog = executor
    known = await catalog.get("acme", ["a.one"])
    served.away, served.seconds = True, FRESH_SECONDS
    assert await catalog.get("acme", ["a.one"]) == known
    for names in (["a.one", "a.two"], ["a.two"]):
        with pytest.raises(CatalogUnavailable, match="away"):
            await catalog.get("acme", names)
    with pytest.raises(CatalogUnavailable):
        await catalog.get("globex", ["a.one"])


async def test_the_list_has_no_schemas(executor: tuple[Executor, ToolCatalog]) -> None:
    served, catalog = executor
    assert {name: tool.input_schema for name, tool in (await catalog.listed("acme")).items()} == {
        name: {} for name in served.tools
    }


async def test_many_are_asked_for_in_pieces(executor: tuple[Executor, ToolCatalog]) -> None:
    served, catalog = executor
    served.tools = {f"a.t{number}": spec(f"a.t{number}") for number in range(120)}
    assert len(await catalog.get("acme", list(served.tools))) == 120
    assert max(len(names) for names in served.asked) <= 50
