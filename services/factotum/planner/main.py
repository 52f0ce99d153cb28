"""Composition root of the planner."""

from __future__ import annotations

import asyncio
import time

from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.events.producer import EventProducer
from factotum.planner import library
from factotum.planner.catalog import ToolCatalog
from factotum.planner.errors import LibraryFaulty
from factotum.planner.grpc import SERVICE, PlannerServicer
from factotum.planner.intake import Intake
from factotum.planner.settings import Settings
from factotum.planner.stream import make_consumer
from factotum.runs.client import Runs
from factotum.runs.connection import connect
from factotum.runtime import clock, lifespan, telemetry
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import GrpcServer


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Plans until `stop` is set. Serves once Temporal has answered. Raises `LibraryFaulty`."""
    shelf = library.load(settings.procedures)
    producer = EventProducer(
        settings.kafka.bootstrap_servers, client_id="planner", timeout_seconds=settings.kafka.publish_timeout_seconds
    )
    async with producer, channel(settings.tool_executor_address) as tool_executor:
        client = await connect(settings.temporal)
        runs = Runs(client, task_queue=settings.temporal.task_queue, ui_url=settings.temporal.ui_url)
        catalog = ToolCatalog(tool_executor, monotonic=time.monotonic)
        intake = Intake(library=shelf, catalog=catalog, runs=runs, producer=producer, now=clock.now)
        servicer = PlannerServicer(intake=intake, library=shelf, runs=runs)
        server = GrpcServer(
            settings.grpc,
            [SERVICE],
            [lambda grpc_server: planner_pb2_grpc.add_PlannerServiceServicer_to_server(servicer, grpc_server)],
        )
        await server.start()
        try:
            await make_consumer(intake, settings.kafka).run(stop)
        finally:
            await server.stop()


def main() -> None:
    with lifespan.boundary("planner", LibraryFaulty):
        settings = lifespan.read(Settings)
        provider = telemetry.setup("planner", settings.telemetry)
        try:
            lifespan.run(lambda stop: serve(settings, stop))
        finally:
            provider.shutdown()


if __name__ == "__main__":
    main()
