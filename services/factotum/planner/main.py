"""Composition root of the planner."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta

from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.bounded.evaluator import BoundedEvaluator
from factotum.events.producer import EventProducer
from factotum.planner import partial_match_rows, procedure_rows, shelf, subscription_rows
from factotum.planner.catalog import ToolCatalog
from factotum.planner.errors import LibraryFaulty, StoreUnavailable
from factotum.planner.fetching import Fetching
from factotum.planner.grpc import SERVICE, PlannerServicer
from factotum.planner.intake import Intake
from factotum.planner.library import Library
from factotum.planner.offering import ProcedureOffering
from factotum.planner.partial_matches import PartialMatches
from factotum.planner.permission import Permitted
from factotum.planner.preparation import Preparation
from factotum.planner.requests import Requests
from factotum.planner.scheduling import Scheduling
from factotum.planner.settings import Settings
from factotum.planner.signalling import Signalling
from factotum.planner.starting import Starting
from factotum.planner.store_file import StoreFile
from factotum.planner.stream import make_consumer
from factotum.planner.subscriptions import Subscriptions
from factotum.runs import claims
from factotum.runs.client import Runs
from factotum.runs.connection import connect
from factotum.runs.decisions import Decisions
from factotum.runs.schedules import Schedules
from factotum.runtime import clock, groups, lifespan, telemetry
from factotum.runtime.groups import GroupsInvalid
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import GrpcServer

# The tables that share the planner's file.
SCHEMAS = {
    "procedures": procedure_rows.SCHEMA,
    "subscriptions": subscription_rows.SCHEMA,
    "partial_matches": partial_match_rows.SCHEMA,
}


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Plans until `stop` is set. Serves once Temporal has answered. Raises `LibraryFaulty`, `GroupsInvalid`,
    `StoreUnavailable`."""
    files = shelf.read(settings.procedures)
    people = groups.load(settings.groups_file)
    producer = EventProducer(
        settings.kafka.bootstrap_servers, client_id="planner", timeout_seconds=settings.kafka.publish_timeout_seconds
    )
    async with (
        StoreFile(settings.store_path, SCHEMAS) as file,
        Subscriptions(file, settings.store_path, seconds=time.time) as subscriptions,
        producer,
        BoundedEvaluator() as evaluator,
        channel(settings.tool_executor_address) as tool_executor,
    ):
        library = Library(file)
        await library.shelve(files, clock.now())
        client = await connect(settings.temporal)
        runs = Runs(client, task_queue=settings.temporal.task_queue, ui_url=settings.temporal.ui_url)
        catalog = ToolCatalog(tool_executor, monotonic=time.monotonic)
        fetching = Fetching(
            library=library,
            channel=tool_executor,
            roots=settings.catalog_folders,
            new_key=lambda: f"planner:{uuid.uuid4()}",
        )
        preparation = Permitted(
            Preparation(
                catalog=catalog, fetching=fetching, moved_bytes=claims.most_moved_bytes(settings.temporal.claims)
            ),
            tool_executor,
            monotonic=time.monotonic,
        )
        starting = Starting(library=library, subscriptions=subscriptions, runs=runs, now=clock.now)
        partial_matches = PartialMatches(
            file, producer, kept=timedelta(days=settings.partial_matches_days), now=clock.now
        )
        intake = Intake(
            library=library,
            preparation=preparation,
            starting=starting,
            signalling=Signalling(subscriptions=subscriptions, runs=runs),
            partial_matches=partial_matches,
            costly=evaluator.evaluate,
            producer=producer,
            now=clock.now,
        )
        scheduling = Scheduling(
            library=library,
            preparation=preparation,
            schedules=Schedules(client, task_queue=settings.temporal.task_queue),
            tenants=settings.schedule_tenants,
            now=clock.now,
        )
        requests = Requests(
            library=library, preparation=preparation, scheduling=scheduling, starting=starting, now=clock.now
        )
        offering = ProcedureOffering(library, producer, settings.schedule_tenants, clock.now)
        servicer = PlannerServicer(
            intake=intake,
            library=library,
            requests=requests,
            runs=runs,
            subscriptions=subscriptions,
            decisions=Decisions(client, runs),
            groups=people,
        )
        server = GrpcServer(
            settings.grpc,
            [SERVICE],
            [lambda grpc_server: planner_pb2_grpc.add_PlannerServiceServicer_to_server(servicer, grpc_server)],
        )
        await server.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(scheduling.run(stop))
                tasks.create_task(partial_matches.run(stop))
                tasks.create_task(offering.run(stop))
                await make_consumer(intake, settings.kafka).run(stop)
        finally:
            await server.stop()


def main() -> None:
    with lifespan.boundary("planner", LibraryFaulty, GroupsInvalid, StoreUnavailable):
        settings = lifespan.read(Settings)
        provider = telemetry.setup("planner", settings.telemetry)
        try:
            lifespan.run(lambda stop: serve(settings, stop))
        finally:
            provider.shutdown()


if __name__ == "__main__":
    main()
