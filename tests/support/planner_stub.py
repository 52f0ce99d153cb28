"""A planner that knows the runs it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings

SERVICE = "factotum.api.planner.v1.PlannerService"


class PlannerStub(planner_pb2_grpc.PlannerServiceServicer):
    """Lists and gets `runs`, each for its own tenant only; fails with `failure` where one is set."""

    def __init__(self) -> None:
        self.runs: list[pb.Run] = []
        self.failure: grpc.StatusCode | None = None

    async def ListRuns(self, request: pb.ListRunsRequest, context: grpc.aio.ServicerContext) -> pb.ListRunsResponse:
        await self._fail(context)
        runs = [run for run in self.runs if run.tenant == request.tenant]
        runs = [run for run in runs if request.procedure in ("", run.procedure)]
        return pb.ListRunsResponse(runs=runs[: request.limit])

    async def GetRun(self, request: pb.GetRunRequest, context: grpc.aio.ServicerContext) -> pb.GetRunResponse:
        await self._fail(context)
        for run in self.runs:
            if (run.tenant, run.id) == (request.tenant, request.run_id):
                return pb.GetRunResponse(run=run)
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such run")
        raise AssertionError("abort raises")

    async def _fail(self, context: grpc.aio.ServicerContext) -> None:
        if self.failure is not None:
            await context.abort(self.failure, "as the test asked")


@asynccontextmanager
async def planner_stub(stub: PlannerStub) -> AsyncIterator[str]:
    """The address of a server of the stub."""
    server = GrpcServer(
        GrpcSettings(port=0),
        [SERVICE],
        [lambda it: planner_pb2_grpc.add_PlannerServiceServicer_to_server(stub, it)],
    )
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.stop()
