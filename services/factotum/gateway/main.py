"""The gateway's composition root: `python -m factotum.gateway.main`."""

from __future__ import annotations

import asyncio

import structlog
from opentelemetry.trace import TracerProvider

from factotum.events.producer import EventProducer
from factotum.gateway import server, sources
from factotum.gateway.errors import SourcesInvalid
from factotum.gateway.http import create_app
from factotum.gateway.intake import Intake
from factotum.gateway.runs import PlannerClient
from factotum.gateway.settings import Settings
from factotum.runtime import clock, grpc_client, lifespan, telemetry
from factotum.runtime.secrets import SecretDirectory

log = structlog.get_logger(__name__)


async def serve(settings: Settings, tracer_provider: TracerProvider, stop: asyncio.Event) -> None:
    """Runs the gateway until `stop` is set. Raises `SourcesInvalid`, or `OSError` if the port is taken."""
    known = sources.load(settings.sources_file, SecretDirectory(settings.secrets.directory), settings.tolerance_seconds)
    kafka = settings.kafka
    async with (
        EventProducer(
            kafka.bootstrap_servers, client_id="gateway", timeout_seconds=kafka.publish_timeout_seconds
        ) as producer,
        grpc_client.channel(settings.planner_address) as channel,
    ):
        app = create_app(
            sources=known,
            intake=Intake(
                producer,
                max_events=settings.max_body_events,
                max_event_bytes=settings.max_event_bytes,
                within_seconds=kafka.publish_timeout_seconds,
            ),
            producer=producer,
            planner=PlannerClient(channel),
            max_body_bytes=settings.max_body_bytes,
            body_timeout_seconds=settings.body_timeout_seconds,
            clock=clock.now,
            tracer_provider=tracer_provider,
        )
        listener = server.listen(settings.http)
        log.info("gateway listens", host=settings.http.host, port=listener.getsockname()[1])
        await server.serve(app, listener, settings.http, stop)


def main() -> None:
    with lifespan.boundary("gateway", SourcesInvalid, OSError):
        settings = lifespan.read(Settings)
        provider = telemetry.setup("gateway", settings.telemetry)
        try:
            lifespan.run(lambda stop: serve(settings, provider, stop))
        finally:
            provider.shutdown()


if __name__ == "__main__":
    main()
