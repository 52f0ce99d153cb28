"""From `Subscribe` to the run: every event comes, exactly as it was sent, over Kafka and Temporal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from factotum.activities.events import RunEvents
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import DEAD_LETTER
from factotum.planner.grpc import SERVICE, PlannerServicer
from factotum.planner.stream import make_consumer
from factotum.runs.client import Runs
from factotum.runs.errors import RunNotFound, RunRefused, TemporalUnavailable
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings, KafkaSettings
from factotum.workflows.contract import EVENT_SIGNAL, Emission, EventSignal, Subscription
from tests.support.intake import Taking, taking
from tests.support.kafka import embedded_kafka, read_all
from tests.support.temporal import temporal_server

QUEUE = "listeners"


@workflow.defn
class Hears:
    """Hears until it has heard of an event whose id is `end`; gives all that it heard."""

    def __init__(self) -> None:
        self._heard: list[dict[str, Any]] = []

    @workflow.signal(name=EVENT_SIGNAL)
    async def hear(self, signal: EventSignal) -> None:
        self._heard.append(signal.event)

    @workflow.run
    async def run(self) -> list[dict[str, Any]]:
        await workflow.wait_condition(lambda: bool(self._heard) and self._heard[-1]["id"] == "end")
        return self._heard


class Interrupted(Runs):
    """Holds its planner up after a signal was sent, where a kill would leave the offset uncommitted."""

    hold = False

    async def signal(self, tenant: str, run_id: str, event: EventSignal) -> None:
        await super().signal(tenant, run_id, event)
        if self.hold:
            await asyncio.Future()


@dataclass
class Bench:
    kafka: str
    client: Client
    producer: EventProducer
    path: Path
    runs: Interrupted
    planner: Taking | None = None
    activities: RunEvents | None = None
    ending: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def begin(self, name: str) -> str:
        """A run that hears, on Temporal but not subscribed."""
        run_id = f"acme.{name}.1"
        await self.client.start_workflow("Hears", id=run_id, task_queue=QUEUE, run_timeout=timedelta(seconds=60))
        return run_id

    async def heard(self, run_id: str) -> list[dict[str, Any]]:
        return await asyncio.wait_for(self.client.get_workflow_handle(run_id).result(), 30)

    async def start_planner(self) -> None:
        unused: Any = None
        stack = self.ending = contextlib.AsyncExitStack()
        parts = await stack.enter_async_context(
            taking(self.path, runs=self.runs, producer=self.producer, preparation=unused)
        )
        servicer = PlannerServicer(
            intake=parts.intake,
            library=parts.library,
            requests=unused,
            runs=self.runs,
            subscriptions=parts.subscriptions,
            decisions=unused,
            groups=unused,
        )
        server = GrpcServer(
            GrpcSettings(port=0),
            [SERVICE],
            [lambda it: planner_pb2_grpc.add_PlannerServiceServicer_to_server(servicer, it)],
        )
        await server.start()
        stack.push_async_callback(server.stop)
        connection = await stack.enter_async_context(channel(f"127.0.0.1:{server.port}"))
        stop = asyncio.Event()
        consumer = make_consumer(parts.intake, KafkaSettings(bootstrap_servers=self.kafka, embedded=True))
        running = asyncio.ensure_future(consumer.run(stop))
        stack.push_async_callback(asyncio.wait, {running})
        stack.callback(stop.set)
        self.planner, self.activities = parts, RunEvents(self.producer, connection)

    async def subscribe(self, run_id: str, *filters: dict[str, Any]) -> None:
        assert self.activities is not None
        await self.activities.subscribe(Subscription(tenant="acme", run_id=run_id, filters=list(filters)))

    async def send(self, **attributes: Any) -> dict[str, Any]:
        assert self.activities is not None
        event = {"specversion": "1.0", "source": "/t", "tenant": "acme", "subject": "one-partition", **attributes}
        await ActivityEnvironment().run(self.activities.publish, Emission(event=event))
        return event


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    path = tmp_path_factory.mktemp("planner") / "store.sqlite3"
    with embedded_kafka() as kafka:
        async with temporal_server() as environment, EventProducer(kafka, client_id="test") as producer:
            runs = Interrupted(environment.client, task_queue=QUEUE, ui_url="")
            bench = Bench(kafka, environment.client, producer, path, runs)
            worker = Worker(
                environment.client, task_queue=QUEUE, workflows=[Hears], workflow_runner=UnsandboxedWorkflowRunner()
            )
            async with worker:
                await bench.start_planner()
                yield bench
                await bench.ending.aclose()


async def test_what_is_sent_after_subscribing_is_heard_exactly_as_it_was(bench: Bench) -> None:
    run_id = await bench.begin("exactly")
    await bench.subscribe(run_id, {"type": "measured.(a|b)", "data": {"unit": "C"}}, {"type": "end"})
    data = {"unit": "C", "value": 21.50, "text": "ü\u2028😀", "list": [None, True, 2**53], "none": None}
    sent = [
        await bench.send(id="1", type="measured.a", data=data, roomid=7),
        await bench.send(id="2", type="measured.b", data=data, time="2026-11-24T09:00:00+01:00"),
    ]
    await bench.send(id="3", type="measured.c", data=data)
    await bench.send(id="4", type="measured.a", data={"unit": "F"})
    sent.append(await bench.send(id="end", type="end"))
    assert await bench.heard(run_id) == sent


async def test_ten_deliveries_are_one_event_by_its_id_and_in_order(bench: Bench) -> None:
    run_id = await bench.begin("repeated")
    await bench.subscribe(run_id, {"source": "/repeated"})
    for _ in range(10):
        await bench.send(id="1", source="/repeated", type="t")
    await bench.send(id="end", source="/repeated", type="t")
    assert [event["id"] for event in await bench.heard(run_id)] == ["1"] * 10 + ["end"]


async def test_nothing_is_lost_between_signal_and_commit(bench: Bench) -> None:
    run_id = await bench.begin("interrupted")
    await bench.subscribe(run_id, {"source": "/interrupted"})
    bench.runs.hold = True
    await bench.send(id="1", source="/interrupted", type="t")
    handle = bench.client.get_workflow_handle(run_id)
    while not any([event.HasField("workflow_execution_signaled_event_attributes") async for event in
                   handle.fetch_history_events()]):  # fmt: skip
        await asyncio.sleep(0.05)
    await bench.ending.aclose()
    bench.runs.hold = False
    await bench.start_planner()
    await bench.send(id="end", source="/interrupted", type="t")
    heard = [event["id"] for event in await bench.heard(run_id)]
    assert heard == ["1", "1", "end"]


async def test_what_is_too_large_for_a_run_is_a_letter(bench: Bench) -> None:
    run_id = await bench.begin("large")
    await bench.subscribe(run_id, {"source": "/large"})
    await bench.send(id="1", source="/large", type="t", data="word " * 450_000)
    await bench.send(id="end", source="/large", type="t")
    assert [event["id"] for event in await bench.heard(run_id)] == ["end"]
    (letter,) = [
        event for message in read_all(bench.kafka, DEAD_LETTER)
        if (event := Event.model_validate_json(message.value)).tenant == "acme"
    ]  # fmt: skip
    assert f"the run {run_id} cannot hear of it" in letter.data["reason"]


async def test_a_run_that_has_ended_is_forgotten(bench: Bench) -> None:
    assert bench.planner is not None
    ended, hears = await bench.begin("ended"), await bench.begin("hears")
    for run_id in (ended, hears):
        await bench.subscribe(run_id, {"source": "/ended"})
    await bench.client.get_workflow_handle(ended).terminate()
    await bench.send(id="end", source="/ended", type="t")
    assert [event["id"] for event in await bench.heard(hears)] == ["end"]
    for _ in range(50):
        if not bench.planner.subscriptions.hears("acme", ended):
            break
        await asyncio.sleep(0.1)
    assert not bench.planner.subscriptions.hears("acme", ended)


@pytest.mark.parametrize("size", [2_200_000, 6_000_000])
async def test_temporal_takes_no_larger_signal_and_says_so(bench: Bench, size: int) -> None:
    run_id = await bench.begin(f"size-{size}")
    with pytest.raises(RunRefused, match="bytes"):
        await bench.runs.signal("acme", run_id, EventSignal(event={"data": "x" * size}))
    await bench.runs.signal("acme", run_id, EventSignal(event={"id": "end", "data": "x" * 2_000_000}))
    assert len((await bench.heard(run_id))[0]["data"]) == 2_000_000


async def test_a_missing_namespace_is_no_missing_run(bench: Bench) -> None:
    config = {**bench.client.config(), "namespace": "not-there-yet"}
    elsewhere = Runs(Client(**config), task_queue=QUEUE, ui_url="")
    with pytest.raises(TemporalUnavailable):
        await elsewhere.signal("acme", "acme.a.1", EventSignal(event={}))
    with pytest.raises(RunNotFound):
        await bench.runs.signal("acme", "acme.nobody.1", EventSignal(event={}))
    with pytest.raises(RunNotFound):
        await bench.runs.signal("globex", "acme.a.1", EventSignal(event={}))
