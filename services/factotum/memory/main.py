"""Composition root of the memory: `python -m factotum.memory.main`."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from uuid import uuid4

import structlog

from factotum.events.producer import EventProducer
from factotum.events.stream import Consumer
from factotum.memory.consolidating import Consolidating
from factotum.memory.embedders.changing import Changing
from factotum.memory.embedders.minilm import ModelMissing
from factotum.memory.embedders.opened import chosen, with_fingerprint
from factotum.memory.errors import StoreUnavailable
from factotum.memory.forgetting import Forgetting
from factotum.memory.given_out import GivenOut
from factotum.memory.grpc import SERVICE_NAME, MemoryServicer
from factotum.memory.grpc_governance import Governance
from factotum.memory.keeping import Keeping
from factotum.memory.own_secrets import resolved
from factotum.memory.readiness import watch
from factotum.memory.recall import Recalling
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.refusals import Refusals
from factotum.memory.settings import Settings
from factotum.memory.settling import preparing, settle
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.spaces import Space
from factotum.memory.stream import GROUP, TOPICS, Ingest
from factotum.runtime import clock, lifespan, telemetry
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.mask import Known

log = structlog.get_logger(__name__)


async def serve(settings: Settings, known: Known, stop: asyncio.Event) -> None:
    """Serves until `stop` is set. Raises `ModelMissing`, `UnknownSecret`, `SecretsUnavailable`, or `RuntimeError` if
    the port is taken."""
    milvus, embedding, kafka = settings.milvus, settings.embedding, settings.kafka
    token = await resolved(settings, known, milvus.token)
    api_key = await resolved(settings, known, embedding.openai.api_key if embedding.openai else "")
    former_key = await resolved(settings, known, embedding.former.api_key if embedding.former else "")
    endpoints = [(at, key) for at, key in ((embedding.openai, api_key), (embedding.former, former_key)) if at]
    async with (
        chosen(embedding, api_key=api_key, now=clock.now) as wanted,
        MemoryStore(
            milvus.uri,
            token,
            space=Space(wanted.fingerprint, wanted.dimension),
            timeout_seconds=milvus.timeout_seconds,
        ) as store,
        Changing(
            wanted, store, lambda fingerprint: with_fingerprint(fingerprint, embedding, endpoints, now=clock.now)
        ) as embedder,
        EventProducer(
            kafka.bootstrap_servers, client_id="memory", timeout_seconds=kafka.publish_timeout_seconds
        ) as producer,
    ):
        try:
            await store.connect()
            await embedder.learn()
        except StoreUnavailable as error:
            log.warning("the store does not serve: calls fail until it does", reason=str(error))
        given_out, forgotten, refusals = GivenOut(), RecentlyForgotten(lambda: token_hex(16)), Refusals()
        keeping = Keeping(store, embedder, given_out=given_out, forgotten=forgotten, refusals=refusals, now=clock.now)
        consumer = Consumer(
            GROUP,
            TOPICS,
            Ingest(keeping, producer, clock.now),
            kafka=kafka,
            batch_size=settings.ingest.batch_size,
            within_seconds=settings.ingest.within_seconds,
        )
        governance = Governance(
            forgetting=Forgetting(
                store, embedder, forgotten, passed=keeping.passed, now=clock.now, new_id=lambda: uuid4().hex
            ),
            consolidating=Consolidating(store, keeping, clock.now),
            refusals=refusals,
            prepare=preparing(wanted.embed),
            embedder=wanted.fingerprint,
            former=lambda: embedder.former,
            lag=consumer.lag,
            now=clock.now,
        )
        recalling = Recalling(store, embedder, clock.now)
        servicer = MemoryServicer(store, embedder, keeping, recalling, given_out, governance)
        server = GrpcServer(settings.grpc, [SERVICE_NAME], [servicer.register])
        ready = not await store.trouble()
        await server.start(ready=ready)
        log.info("memory listens", port=server.port)
        beside = [
            asyncio.create_task(settle(store, wanted.embed)),
            asyncio.create_task(forgotten.keep_reading(store, clock.now)),
            asyncio.create_task(watch(store.trouble, server.be_ready, ready=ready)),
        ]
        try:
            await consumer.run(stop)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await server.stop()


def main() -> None:
    with lifespan.boundary("memory", ModelMissing, UnknownSecret, SecretsUnavailable):
        settings, known = lifespan.read(Settings), Known()
        provider = telemetry.setup("memory", settings.telemetry, known)
        try:
            lifespan.run(lambda stop: serve(settings, known, stop))
        finally:
            provider.shutdown()


if __name__ == "__main__":
    main()
