"""What a run may tell, and what it is told when the planner is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from factotum.activities.events import RunEvents
from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable, EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.topics import EVENTS
from factotum.runtime.grpc_client import channel
from factotum.workflows.contract import Emission, Subscription

EVENT = {"specversion": "1.0", "id": "1", "source": "/orders", "type": "paid", "tenant": "acme", "factotumhops": 3}


class Producer(EventProducer):
    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__("127.0.0.1:1", client_id="test")
        self.published: list[tuple[str, Event]] = []
        self._failure = failure
        self.asked = 0

    async def publish(self, topic: str, event: Event) -> None:
        if self._failure is not None:
            raise self._failure
        self.published.append((topic, event))

    async def published_before(self, topic: str, event: Event) -> bool:
        self.asked += 1
        return (topic, event) in self.published


class Planner(planner_pb2_grpc.PlannerServiceServicer):
    """Refuses with `failure` where one is set."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.failure: grpc.StatusCode | None = None

    async def Subscribe(self, request: pb.SubscribeRequest, context: Any) -> pb.SubscribeResponse:
        self.requests.append(request)
        if self.failure is not None:
            await context.abort(self.failure, "as the test asked")
        return pb.SubscribeResponse()

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: Any) -> pb.UnsubscribeResponse:
        self.requests.append(request)
        return pb.UnsubscribeResponse()


@asynccontextmanager
async def events(producer: Producer) -> AsyncIterator[tuple[RunEvents, Planner]]:
    planner, server = Planner(), grpc.aio.server()
    planner_pb2_grpc.add_PlannerServiceServicer_to_server(planner, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with channel(f"127.0.0.1:{port}") as connection:
            yield RunEvents(producer, connection), planner
    finally:
        await server.stop(None)


async def published(activities: RunEvents, emission: Emission, attempt: int = 1) -> None:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    await environment.run(activities.publish, emission)


async def test_an_event_is_published_as_it_is() -> None:
    producer = Producer()
    async with events(producer) as (activities, _):
        await published(activities, Emission(event={**EVENT, "data": {"a": [1.5, None]}}))
    ((topic, event),) = producer.published
    assert topic == EVENTS
    assert event.model_dump(mode="json", exclude_none=True) == {**EVENT, "data": {"a": [1.5, None]}}


async def test_only_another_attempt_looks_whether_the_event_is_there() -> None:
    producer = Producer()
    async with events(producer) as (activities, _):
        await published(activities, Emission(event=EVENT))
        assert producer.asked == 0
        await published(activities, Emission(event=EVENT), attempt=2)
        await published(activities, Emission(event={**EVENT, "id": "2"}), attempt=2)
    assert [event.id for _, event in producer.published] == ["1", "2"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "id: String should have at least 1 character"),
        ({"source": None}, "source: "),
        ({"Upper": "x"}, "extension attribute 'Upper'"),
        ({"time": "yesterday"}, "time: "),
        ({"source": "/hooks/bamboohr"}, "signed webhooks"),
        ({"source": "/worker"}, "Factotum's own"),
        ({"source": "/planner/x"}, "Factotum's own"),
        ({"type": "dev.factotum.outcome.v1"}, "Factotum's own"),
        ({"data": "\ud800"}, "cannot be written as JSON"),
    ],
)
async def test_what_is_no_event_or_pretends_is_the_documents_fault(change: dict[str, Any], reason: str) -> None:
    producer = Producer()
    async with events(producer) as (activities, _):
        with pytest.raises(ApplicationError, match=reason) as caught:
            await published(activities, Emission(event={**EVENT, **change}))
    assert (caught.value.type, caught.value.non_retryable) == ("invalid_argument", True)
    assert producer.published == []


async def test_what_is_too_large_is_not_tried_again_and_what_passes_is() -> None:
    async with events(Producer(EventTooLarge("5 MB"))) as (activities, _):
        with pytest.raises(ApplicationError, match="5 MB") as caught:
            await published(activities, Emission(event=EVENT))
    assert caught.value.non_retryable
    async with events(Producer(BrokerUnavailable("away"))) as (activities, _):
        with pytest.raises(BrokerUnavailable):
            await published(activities, Emission(event=EVENT))


async def test_a_run_subscribes_at_the_planner() -> None:
    async with events(Producer()) as (activities, planner):
        await activities.subscribe(Subscription(tenant="acme", run_id="acme.a.1", filters=[{"type": "ü"}]))
        await activities.unsubscribe(Subscription(tenant="acme", run_id="acme.a.1"))
    assert planner.requests == [
        pb.SubscribeRequest(tenant="acme", run_id="acme.a.1", filters_json='[{"type": "ü"}]'),
        pb.UnsubscribeRequest(tenant="acme", run_id="acme.a.1"),
    ]


@pytest.mark.parametrize(
    ("status", "kind", "lasting"),
    [
        (grpc.StatusCode.UNAVAILABLE, "planner_unavailable", False),
        (grpc.StatusCode.UNIMPLEMENTED, "planner_unavailable", False),
        (grpc.StatusCode.INVALID_ARGUMENT, "invalid_argument", True),
    ],
)
async def test_a_planner_that_is_away_is_asked_again(status: grpc.StatusCode, kind: str, lasting: bool) -> None:
    async with events(Producer()) as (activities, planner):
        planner.failure = status
        with pytest.raises(ApplicationError, match=f"planner: {status.name} as the test asked") as caught:
            await activities.subscribe(Subscription(tenant="acme", run_id="acme.a.1"))
    assert (caught.value.type, caught.value.non_retryable) == (kind, lasting)
