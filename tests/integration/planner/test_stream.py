"""The planner between a real Kafka and a real Temporal: what becomes of each message."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from factotum.events.dead_letter import DeadLetterData
from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import DEAD_LETTER, EVENTS, OBSERVATIONS
from factotum.planner.catalog import ToolCatalog
from factotum.planner.fetching import Fetching
from factotum.planner.permission import Permitted
from factotum.planner.preparation import Preparation
from factotum.planner.stream import make_consumer
from factotum.procedures.model import Document
from factotum.runs.client import Runs
from factotum.runs.errors import TemporalUnavailable
from factotum.runtime.grpc_client import channel
from factotum.runtime.settings import KafkaSettings
from factotum.workflows.contract import RunInput
from tests.support.executor import scripted_executor
from tests.support.intake import taking
from tests.support.kafka import embedded_kafka, read_all
from tests.support.library import open_library
from tests.support.temporal import temporal_server

HEAD = "document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0'}}\n"
PROCEDURES = [
    HEAD.format(name="greet") + "schedule: {on: {one: {with: {type: hello}}}}\ndo:\n  - a: {set: {x: 1}}\n",
    HEAD.format(name="also") + "schedule: {on: {one: {with: {type: hello}}}}\ndo:\n  - a: {set: {x: 2}}\n",
    HEAD.format(name="sound") + "schedule: {on: {one: {with: {type: broken}}}}\ndo:\n  - a: {set: {x: 3}}\n",
    HEAD.format(name="broken") + "schedule: {on: {one: {with: {type: broken}}}}\ndo:\n  - a: {call: no.tool}\n",
]


class Flaky(Runs):
    """The real runs, which fail as often as `failures` says before they start one."""

    failures = 0

    async def start(self, run_id: str, run: RunInput, document: Document) -> bool:
        if self.failures > 0:
            self.failures -= 1
            raise TemporalUnavailable("away")
        return await super().start(run_id, run, document)


@dataclass
class Bench:
    kafka: str
    client: Client
    runs: Flaky
    producer: EventProducer

    async def send(self, event_type: str, event_id: str, tenant: str = "acme") -> None:
        await self.producer.publish(EVENTS, Event(id=event_id, source="/t", type=event_type, tenant=tenant))

    async def started(self, tenant: str = "acme") -> list[str]:
        return sorted(view.procedure for view in await self.runs.list(tenant, limit=500))

    async def notes(self) -> dict[str, Any]:
        """What the planner told of its choices, by the id of the event."""
        events = [json.loads(message.value) for message in await asyncio.to_thread(read_all, self.kafka, OBSERVATIONS)]
        return {event["id"]: event["data"] for event in events}

    async def until_on(self, topic: str, count: int) -> list[bytes]:
        for _ in range(100):
            found = [message.value for message in await asyncio.to_thread(read_all, self.kafka, topic)]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{topic} holds {len(found)} of {count}")


@pytest_asyncio.fixture(loop_scope="session")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    stop = asyncio.Event()
    path = tmp_path_factory.mktemp("planner") / "store.sqlite3"
    with embedded_kafka() as kafka:
        async with (
            temporal_server() as environment,
            scripted_executor() as executor,
            channel(executor.address) as connection,
            EventProducer(kafka, client_id="test") as producer,
            open_library(path, PROCEDURES) as library,
        ):
            runs = Flaky(environment.client, task_queue="nobody", ui_url="")
            preparation = Permitted(
                Preparation(
                    catalog=ToolCatalog(connection, monotonic=time.monotonic),
                    fetching=Fetching(library=library, channel=connection, roots=[], new_key=lambda: "unused"),
                ),
                connection,
                monotonic=time.monotonic,
            )
            async with taking(path, library=library, runs=runs, producer=producer, preparation=preparation) as planner:
                consumer = make_consumer(planner.intake, KafkaSettings(bootstrap_servers=kafka, embedded=True))
                running = asyncio.ensure_future(consumer.run(stop))
                yield Bench(kafka, environment.client, runs, producer)
                stop.set()
                await running


async def test_every_message_is_run_or_noted_or_in_the_dead_letter(bench: Bench) -> None:
    for _ in range(10):
        await bench.send("hello", "1")
    await bench.send("hello", "1", tenant="globex")
    await bench.send("nobody-cares", "2")
    await bench.producer.publish_bytes(EVENTS, b'{"not": "an event"}', key="x", content_type="text/plain")
    # Nearly as large as the gateway takes: its letter, in base64, is larger than a broker's usual limit.
    large = Event(id="3", source="/t", type="broken", tenant="acme", data={"text": "word " * 190_000})
    await bench.producer.publish(EVENTS, large)
    bench.runs.failures = 3
    await bench.send("hello", "4")

    values = await bench.until_on(DEAD_LETTER, 2)
    letters = [DeadLetterData.model_validate(json.loads(value)["data"]) for value in values]
    assert len(letters) == 2
    unreadable = next(letter for letter in letters if letter.value == b'{"not": "an event"}')
    assert "id: Field required" in unreadable.reason
    refused = next(letter for letter in letters if letter is not unreadable)
    assert refused.reason.startswith("test/broken 1.0.0: ")
    assert "no tool `no.tool`" in refused.reason
    assert refused.whole
    assert Event.from_bytes(refused.value) == large

    # One faulty procedure does not keep the others of its event from running.
    expected = ["test/also", "test/also", "test/greet", "test/greet", "test/sound"]
    for _ in range(100):
        if await bench.started() == expected:
            break
        await asyncio.sleep(0.1)
    assert await bench.started() == expected
    assert await bench.started("globex") == ["test/also", "test/greet"]
    assert bench.runs.failures == 0

    # Of an event that came ten times, each of its runs is told under one id.
    async with asyncio.timeout(10):
        while len(notes := await bench.notes()) < 8:
            await asyncio.sleep(0.1)
    (unmatched,) = [note for note in notes.values() if not note["run_id"]]
    assert "No procedure matches the event 2" in unmatched["note"]
    assert len(notes) == 8
    assert all(": its trigger takes events with type " in note["note"] for note in notes.values() if note["run_id"])
