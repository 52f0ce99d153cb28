"""The channel to a server that vanishes: its connection stays, but nothing comes through any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import grpc
import pytest

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings


class Line:
    """Carries bytes between clients and a server until it is cut: then it carries nothing and closes nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = True
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        self._whole = False

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, requests]
        await asyncio.gather(self._carry(reader, requests), self._carry(answers, writer))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if self._whole:
                    sink.write(data)


class Slow(tools_pb2_grpc.ToolExecutorServiceServicer):
    """Takes a minute to answer."""

    async def ListTools(self, request: tools_pb2.ListToolsRequest, context: object) -> tools_pb2.ListToolsResponse:
        await asyncio.sleep(60)
        return tools_pb2.ListToolsResponse()


@asynccontextmanager
async def line() -> AsyncIterator[tuple[Line, str]]:
    register = partial(tools_pb2_grpc.add_ToolExecutorServiceServicer_to_server, Slow())  # type: ignore[abstract]
    server = GrpcServer(GrpcSettings(host="127.0.0.1", port=0), [], [register])
    await server.start()
    made = Line(server.port)
    listener = await asyncio.start_server(made.connected, "127.0.0.1", 0)
    try:
        yield made, f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        await made.close()
        await server.stop()


def call(connection: grpc.aio.Channel) -> asyncio.Task[tools_pb2.ListToolsResponse]:
    stub = tools_pb2_grpc.ToolExecutorServiceStub(connection)

    async def answer() -> tools_pb2.ListToolsResponse:
        return await stub.ListTools(tools_pb2.ListToolsRequest(tenant="acme"))

    return asyncio.ensure_future(answer())


async def test_a_call_without_a_timeout_ends_when_its_server_vanishes() -> None:
    async with (
        line() as (wire, address),
        channel(address, keepalive_seconds=1, keepalive_timeout_seconds=1) as connection,
    ):
        calling = call(connection)
        await asyncio.sleep(0.5)
        wire.cut()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(calling, 20)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.slow
async def test_a_long_call_is_not_cut_off_for_being_looked_after() -> None:
    """A server that finds itself asked too often ends the connection at the third time."""
    async with line() as (_, address), channel(address, keepalive_seconds=11) as connection:
        assert await asyncio.wait_for(call(connection), 90) == tools_pb2.ListToolsResponse()
