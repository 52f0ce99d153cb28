"""The gateway's composition root: `python -m factotum.gateway.main`."""

from __future__ import annotations

import asyncio
import os
import time

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
from factotum.runtime.secrets import stores
from factotum.runtime.secrets.errors import SecretsUnavailable
from factotum.runtime.secrets.mask import Known

log = structlog.get_logger(__name__)


# So that a cache of no time does not make the gateway ask all the time.
SHORTEST_RENEWAL_SECONDS = 1.0


async def serve(settings: Settings, known: Known, tracer_provider: TracerProvider, stop: asyncio.Event) -> None:
    """Runs the gateway until `stop` is set. Raises `SourcesInvalid`, `SecretsUnavailable`, or `OSError` if the port is
    taken."""
    kafka = settings.kafka
    async with (
        stores.opened(settings.secrets, environment=os.environ, known=known, monotonic=time.monotonic) as secrets,
        EventProducer(
            kafka.bootstrap_servers, client_id="gateway", timeout_seconds=kafka.publish_timeout_seconds
        ) as producer,
        grpc_client.channel(settings.planner_address) as channel,
    ):
        senders = await sources.load(settings.sources_file, secrets, settings.tolerance_seconds)
        app = create_app(
            sources=senders,
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
        every = max(settings.secrets.cache_seconds, SHORTEST_RENEWAL_SECONDS)
        keeping = asyncio.create_task(
            sources.keep(senders, settings.sources_file, secrets, settings.tolerance_seconds, every_seconds=every)
        )
        try:
            await server.serve(app, listener, settings.http, stop)
        finally:
            keeping.cancel()


def main() -> None:
    with lifespan.boundary("gateway", SourcesInvalid, SecretsUnavailable, OSError):
        settings, known = lifespan.read(Settings), Known()
        provider = telemetry.setup("gateway", settings.telemetry, known)
        try:
            lifespan.run(lambda stop: serve(settings, known, provider, stop))
        finally:
            provider.shutdown()


if __name__ == "__main__":
    main()
