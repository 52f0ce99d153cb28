"""Composition root of the worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from factotum.activities.consolidation import Consolidations
from factotum.activities.evaluation import Evaluations
from factotum.activities.events import RunEvents
from factotum.activities.outcome import Outcomes
from factotum.activities.tool_call import ToolCalls
from factotum.bounded.evaluator import BoundedEvaluator
from factotum.events.producer import EventProducer
from factotum.runs.connection import connect
from factotum.runs.upkeep import schedule_consolidation
from factotum.runtime import lifespan, telemetry
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import GrpcServer
from factotum.worker.pool import make_worker
from factotum.worker.settings import Settings
from factotum.worker.versioning import deployment_version, make_current


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Polls until `stop` is set. Health is served once Temporal has answered."""
    health = GrpcServer(settings.grpc, [], [])
    producer = EventProducer(
        settings.kafka.bootstrap_servers, client_id="worker", timeout_seconds=settings.kafka.publish_timeout_seconds
    )
    async with (
        producer,
        channel(settings.tool_executor_address) as tool_executor,
        channel(settings.planner_address) as planner,
        channel(settings.memory_address) as memory,
        BoundedEvaluator() as evaluator,
    ):
        client = await connect(settings.temporal)
        version = deployment_version(settings.temporal.task_queue)
        worker = make_worker(
            client,
            task_queue=settings.temporal.task_queue,
            tool_calls=ToolCalls(tool_executor),
            outcomes=Outcomes(producer),
            events=RunEvents(producer, planner),
            evaluations=Evaluations(evaluator),
            consolidations=Consolidations(memory),
            max_concurrent_activities=settings.max_concurrent_activities,
            sandboxed=False,
            version=version,
        )
        async with worker:
            await make_current(client, version)
            await schedule_consolidation(
                client,
                task_queue=settings.temporal.task_queue,
                every=timedelta(hours=settings.consolidation_hours),
            )
            await health.start()
            await stop.wait()
            await health.stop()


def main() -> None:
    with lifespan.boundary("worker"):
        settings = lifespan.read(Settings)
        provider = telemetry.setup("worker", settings.telemetry)
        try:
            lifespan.run(lambda stop: serve(settings, stop))
        finally:
            provider.shutdown()


if __name__ == "__main__":
    main()
