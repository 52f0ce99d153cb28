"""A grpc.aio server whose `Execute` does nothing: `python -m benchmarks.bare_server PORT`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.api.tools.v1 import tools_pb2_grpc


class Bare(tools_pb2_grpc.ToolExecutorServiceServicer):
    async def Execute(self, request: pb.ExecuteRequest, context: Any) -> pb.ExecuteResponse:
        return pb.ExecuteResponse(observation=pb.Observation(tool=request.tool, output_json='{"id":"1"}'))


async def serve(port: int) -> None:
    server = grpc.aio.server()
    tools_pb2_grpc.add_ToolExecutorServiceServicer_to_server(Bare(), server)  # type: ignore[no-untyped-call, unused-ignore]
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
