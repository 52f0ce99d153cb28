"""Consuming: batches of raw messages through Faust, at least once, beside anything else in the same event loop.

Faust acknowledges what its own `take` yielded even when the taker failed or was cancelled, so a
batch would be committed unprocessed. Here nothing is acknowledged but what a handler returned from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
import structlog
from opentelemetry import metrics

from factotum.events.embedded import EmbeddedTransport
from factotum.events.lag import UNKNOWN, LagReader
from factotum.runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)
lag_gauge = metrics.get_meter(__name__).create_gauge(
    "factotum.events.lag", description="messages on Kafka that a consumer group has not handled yet; -1: not known"
)

# Seconds between two readings of the lag for the gauge.
LAG_INTERVAL = 5.0
# Seconds between commits; what was handled since the last one is delivered again after a crash.
COMMIT_INTERVAL = 1.0
# Seconds that one batch may take, waiting for what it needs included, before the group gives its
# partitions to another member.
MAX_BATCH_SECONDS = 3600.0
# Seconds after which the partitions of a killed member go to another, or to itself once it is back.
# Heartbeats are sent from a thread of their own, so a busy event loop does not miss them.
SESSION_SECONDS = 6.0
HEARTBEAT_SECONDS = 1.0
RESTART_SECONDS = (0.5, 15.0)


@dataclass(frozen=True)
class Received:
    """One message as it stood on Kafka. A tombstone's value is empty."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]


Handler = Callable[[Sequence[Received]], Awaitable[None]]


def make_app(app_id: str, kafka: KafkaSettings, data_dir: Path) -> faust.App:
    """A Faust app that is its own consumer group `app_id`; it keeps no state but an empty `data_dir`.

    It takes over neither signals nor logging: those belong to the worker class, which is not used.
    """
    app = faust.App(
        app_id,
        broker=";".join(f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")),
        datadir=str(data_dir),
        autodiscover=False,
        web_enabled=False,
        key_serializer="raw",
        value_serializer="raw",
        # The leader topic exists for `app.is_leader()`, which nothing here asks.
        topic_disable_leader=True,
        topic_allow_declare=not kafka.embedded,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=COMMIT_INTERVAL,
        broker_max_poll_interval=MAX_BATCH_SECONDS,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        # A stop or a rebalance must not wait for a batch that waits for something else.
        stream_wait_empty=False,
    )
    if kafka.embedded:
        app.transport = EmbeddedTransport(app.conf.broker_consumer, app)
    return app


class Consumer:
    """Hands the messages of some topics to `handle`, in batches, in the order of each partition.

    A batch's offsets are committed only after `handle` returned. If it raises, the consumer starts
    again, with back-off, at the first message that was not handled: a handler that can tell what
    it waits for waits by itself, and it must be idempotent, since a batch may come twice.

    Args:
        group: consumer group; one message goes to one member of it.
        batch_size: most messages in one call of `handle`.
        within_seconds: longest that a message waits for others to join its batch.
    """

    def __init__(
        self,
        group: str,
        topics: Sequence[str],
        handle: Handler,
        *,
        kafka: KafkaSettings,
        batch_size: int = 1,
        within_seconds: float = 0.1,
    ) -> None:
        self._group = group
        self._topics = topics
        self._handle = handle
        self._kafka = kafka
        self._batch_size = batch_size
        self._within = within_seconds
        # By topic and partition, the offset after the last message that was handled here.
        self._handled: dict[tuple[str, int], int] = {}
        self._lag: LagReader | None = None

    async def lag(self) -> int:
        """Messages of the topics that the group has not handled yet; `lag.UNKNOWN` (-1) while Kafka does not answer
        and while this consumer does not run."""
        return UNKNOWN if self._lag is None else await self._lag.read(self._handled)

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set. While Kafka is away it tries again, for ever."""
        _quiet()
        reader = self._lag = LagReader(self._kafka.bootstrap_servers, self._group, self._topics)
        measuring = asyncio.ensure_future(self._measure())
        try:
            await self._consume(stop)
        finally:
            self._lag = None
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
            await reader.close()

    async def _measure(self) -> None:
        while True:
            lag_gauge.set(await self.lag(), {"group": self._group})
            await asyncio.sleep(LAG_INTERVAL)

    async def _consume(self, stop: asyncio.Event) -> None:
        wait, longest = RESTART_SECONDS
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            began = loop.time()
            with tempfile.TemporaryDirectory(prefix=f"{self._group}-") as directory:
                reason = await self._run_once(Path(directory) / "faust", stop)
            if reason is None:
                return
            if loop.time() - began > 2 * longest:
                wait = RESTART_SECONDS[0]
            log.warning("stream starts again", group=self._group, reason=repr(reason), seconds=wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait * random.uniform(0.8, 1.2))  # noqa: S311
            wait = min(wait * 2, longest)

    async def _run_once(self, data_dir: Path, stop: asyncio.Event) -> BaseException | None:
        """Runs one Faust app until `stop` (then None) or until it or the handler failed."""
        app = make_app(self._group, self._kafka, data_dir)
        failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._attach(app, failed)
        running = asyncio.ensure_future(self._started(app))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            first: list[asyncio.Future[Any]] = [failed, running, stopping]
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                return failed.result()
            if stop.is_set():
                return None
            return running.exception() or app.crash_reason or RuntimeError("Faust stopped by itself")
        finally:
            running.cancel()
            stopping.cancel()
            await asyncio.gather(running, stopping, return_exceptions=True)
            try:
                await app.stop()
            except Exception as error:  # a half-started app may fail to stop; it is dropped either way
                log.warning("stream did not stop cleanly", group=self._group, reason=repr(error))

    @staticmethod
    async def _started(app: faust.App) -> None:
        """Returns when the started app has stopped or crashed."""
        await app.start()
        await app.wait_until_stopped()

    def _attach(self, app: faust.App, failed: asyncio.Future[BaseException]) -> None:
        async def batches(stream: Any) -> AsyncIterator[None]:
            async for events in stream.noack_take(self._batch_size, within=self._within):
                try:
                    await self._handle([_received(event) for event in events])
                except Exception as error:  # whatever it was, the batch was not handled
                    if not failed.done():
                        failed.set_result(error)
                    await asyncio.Future()  # take no further batch; the app is being stopped
                for event in events:
                    await stream.ack(event)
                    message = event.message
                    self._handled[message.topic, message.partition] = message.offset + 1
                yield

        topic = app.topic(*self._topics, key_type=bytes, value_type=bytes)
        app.agent(topic, name=f"{self._group}.batches")(batches)


def _quiet() -> None:
    # At INFO each of Faust's dozens of parts tells its start and its stop.
    if logging.getLogger().getEffectiveLevel() >= logging.INFO:
        for name in ("faust", "mode", "aiokafka"):
            logging.getLogger(name).setLevel(logging.WARNING)


def _received(event: Any) -> Received:
    message = event.message
    return Received(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key or b"",
        value=message.value or b"",
        headers={name: value for name, value in message.headers or () if value is not None},
    )
