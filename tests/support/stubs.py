"""Planner, tool executor and memory with answers that a test sets, as real gRPC servers on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import Message

from factotum.api.memory.v1 import memory_pb2_grpc
from factotum.api.planner.v1 import planner_pb2, planner_pb2_grpc
from factotum.api.tools.v1 import tools_pb2_grpc
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings


class _Scripted:
    """Answers each method from `answers` and keeps the requests.

    An answer is a message, a `(StatusCode, details)` pair, or, for several calls, a list of these,
    of which the last is repeated; for WatchRun the messages of one list are one stream.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.requests: list[Message] = []

    async def _answer(self, method: str, request: Message, context: Any) -> Any:
        self.requests.append(request)
        answer = self.answers[method]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, tuple):
            await context.abort(*answer)
        return answer


def _unary(method: str) -> Any:
    async def answer(self: _Scripted, request: Message, context: Any) -> Any:
        return await self._answer(method, request, context)

    return answer


class PlannerStub(_Scripted, planner_pb2_grpc.PlannerServiceServicer):
    """`streams`: what successive WatchRun calls do; each item is a run to send or a status to end with."""

    Plan = _unary("Plan")
    ListProcedures = _unary("ListProcedures")
    CancelRun = _unary("CancelRun")
    StartRun = _unary("StartRun")
    GetProcedure = _unary("GetProcedure")
    RegisterProcedure = _unary("RegisterProcedure")
    ListRuns = _unary("ListRuns")
    GetRun = _unary("GetRun")
    ListApprovals = _unary("ListApprovals")
    Decide = _unary("Decide")
    ListTasks = _unary("ListTasks")

    def __init__(self) -> None:
        super().__init__()
        self.streams: dict[str, list[list[Any]]] = {}

    async def WatchRun(self, request: planner_pb2.WatchRunRequest, context: Any) -> Any:
        self.requests.append(request)
        streams = self.streams.get(request.run_id, [])
        if not streams:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"tenant {request.tenant} has no run {request.run_id!r}")
        for item in streams.pop(0) if len(streams) > 1 else streams[0]:
            if isinstance(item, tuple):
                await context.abort(*item)
            elif isinstance(item, float):
                await asyncio.sleep(item)
            else:
                yield planner_pb2.WatchRunResponse(run=item)


class ToolsStub(_Scripted, tools_pb2_grpc.ToolExecutorServiceServicer):
    Execute = _unary("Execute")
    ListTools = _unary("ListTools")
    DescribeTool = _unary("DescribeTool")
    TestTool = _unary("TestTool")
    AddSource = _unary("AddSource")
    RemoveSource = _unary("RemoveSource")
    ListSources = _unary("ListSources")
    RefreshSource = _unary("RefreshSource")
    Authorize = _unary("Authorize")
    AuthorizePlan = _unary("AuthorizePlan")
    ListEffects = _unary("ListEffects")
    ResolveEffect = _unary("ResolveEffect")


class MemoryStub(_Scripted, memory_pb2_grpc.MemoryServiceServicer):
    Remember = _unary("Remember")
    Recall = _unary("Recall")
    ListRecords = _unary("ListRecords")
    Forget = _unary("Forget")
    ListReceipts = _unary("ListReceipts")
    Consolidate = _unary("Consolidate")
    Status = _unary("Status")

    async def Export(self, request: Message, context: Any) -> Any:
        for answer in await self._answer("Export", request, context):
            yield answer

    async def Reindex(self, request: Message, context: Any) -> Any:
        for answer in await self._answer("Reindex", request, context):
            yield answer


class Stubs:
    """The three, and the environment in which a command finds them."""

    def __init__(self) -> None:
        self.planner = PlannerStub()
        self.tools = ToolsStub()
        self.memory = MemoryStub()
        self.environment: dict[str, str] = {}


@contextmanager
def stubs() -> Iterator[Stubs]:
    """Serves the stubs from a thread with a loop of its own, since a command under test runs its own loop."""
    made = Stubs()
    loop = asyncio.new_event_loop()
    servers = {
        "PLANNER": _server(lambda it: planner_pb2_grpc.add_PlannerServiceServicer_to_server(made.planner, it)),
        "TOOL_EXECUTOR": _server(lambda it: tools_pb2_grpc.add_ToolExecutorServiceServicer_to_server(made.tools, it)),
        "MEMORY": _server(lambda it: memory_pb2_grpc.add_MemoryServiceServicer_to_server(made.memory, it)),
    }
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for part, server in servers.items():
            asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
            made.environment[f"FACTOTUM_{part}_ADDRESS"] = f"127.0.0.1:{server.port}"
        yield made
    finally:
        for server in servers.values():
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _server(register: Any) -> GrpcServer:
    return GrpcServer(GrpcSettings(port=0), [], [register])
