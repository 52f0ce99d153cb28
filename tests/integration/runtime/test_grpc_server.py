"""What every gRPC server of Factotum offers beside its own service: health, also watched, and reflection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from factotum.api.memory.v1 import memory_pb2_grpc
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings

SERVICE = "factotum.api.memory.v1.MemoryService"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[GrpcServer]:
    servicer = memory_pb2_grpc.MemoryServiceServicer()
    made = GrpcServer(
        GrpcSettings(port=0),
        [SERVICE],
        [lambda grpc_server: memory_pb2_grpc.add_MemoryServiceServicer_to_server(servicer, grpc_server)],
    )
    await made.start()
    yield made
    await made.stop()


async def test_health_is_told_and_watched_until_the_end(server: GrpcServer) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await asyncio.wait_for(watch.read(), 10)).status == SERVING
        stopping = asyncio.ensure_future(server.stop())
        assert (await asyncio.wait_for(watch.read(), 10)).status == NOT_SERVING
        watch.cancel()
        await stopping


async def test_a_server_that_is_not_ready_says_so_until_it_is() -> None:
    made = GrpcServer(GrpcSettings(port=0), [SERVICE], [])
    await made.start(ready=False)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{made.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for told in (NOT_SERVING, SERVING):
            for name in ("", SERVICE):
                assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == told
            await made.get_ready()
    await made.stop()


async def test_reflection_names_the_service(server: GrpcServer) -> None:
    def services() -> list[str]:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    found = await asyncio.to_thread(services)
    assert set(found) == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
