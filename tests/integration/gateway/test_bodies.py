"""Bodies that are large, slow, or hold many events: bounded, and nobody else waits for them."""

import asyncio
import contextlib
import json
import time
from pathlib import Path

import httpx2
import pytest

from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable, EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.topics import EVENTS
from factotum.gateway.errors import TooLarge
from factotum.gateway.intake import Intake
from factotum.runtime import clock
from tests.support.gateway import (
    MAX_EVENTS,
    Gateway,
    bamboohr_headers,
    employee_body,
    gateway,
)
from tests.support.gateway_answers import ACME, assert_problem, on_kafka
from tests.support.kafka import read_all
from tests.support.planner_stub import PlannerStub, planner_stub


def employees(count: int) -> bytes:
    return json.dumps(
        {"employees": [{"id": str(n), "action": "Created", "fields": {"note": "crowd"}} for n in range(count)]}
    ).encode()


async def test_a_large_webhook_holds_nobody_up(served: Gateway, client: httpx2.AsyncClient) -> None:
    body = employees(MAX_EVENTS)
    headers = bamboohr_headers(body, clock.now())
    slowest = 0.0
    async with httpx2.AsyncClient(base_url=served.url) as other:
        delivery = asyncio.create_task(client.post("/hooks/bamboohr", content=body, headers=headers))
        while not delivery.done():
            started = time.monotonic()
            assert (await other.get("/healthz")).status_code == 200
            slowest = max(slowest, time.monotonic() - started)
    response = await delivery
    assert response.status_code == 202
    assert len({event["id"] for event in response.json()["events"]}) == MAX_EVENTS
    assert slowest < 1


async def test_others_have_their_turns_while_a_large_body_is_read_and_published() -> None:
    class Instant(EventProducer):
        async def publish(self, topic: str, event: Event) -> None:
            pass

    intake = Intake(Instant("127.0.0.1:1", client_id="t"), max_events=500, max_event_bytes=1000, within_seconds=5)
    headers = {"content-type": "application/cloudevents-batch+json"}
    events = [{"specversion": "1.0", "id": str(n), "source": "/s", "type": "t"} for n in range(500)]
    taking = asyncio.create_task(intake.cloudevents("acme", headers, json.dumps(events).encode()))
    turns = 0
    while not taking.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 90


async def test_more_events_than_a_body_may_hold(client: httpx2.AsyncClient, kafka: str) -> None:
    before = len(read_all(kafka, EVENTS))
    body = employees(MAX_EVENTS + 1)
    response = await client.post("/hooks/bamboohr", content=body, headers=bamboohr_headers(body, clock.now()))
    assert_problem(response, 413, "too-large")
    assert response.json()["detail"] == "a body may hold 500 events: send the rest in bodies of their own"
    event = {"specversion": "1.0", "id": "same", "source": "/tests", "type": "t"}
    headers = {"content-type": "application/cloudevents-batch+json", **ACME}
    response = await client.post("/v1/events", content=json.dumps([event] * (MAX_EVENTS + 1)), headers=headers)
    assert_problem(response, 413, "too-large")
    assert len(read_all(kafka, EVENTS)) == before


async def test_an_entry_given_twice_is_one_event(client: httpx2.AsyncClient, kafka: str) -> None:
    [entry] = json.loads(employee_body("twice"))["employees"]
    body = json.dumps({"employees": [entry, {**entry, "action": "Updated"}, entry]}).encode()
    response = await client.post("/hooks/bamboohr", content=body, headers=bamboohr_headers(body, clock.now()))
    ids = [event["id"] for event in response.json()["events"]]
    assert len(ids) == 2
    assert [len(on_kafka(kafka, event_id)) for event_id in ids] == [1, 1]


async def test_one_deadline_for_all_events_of_a_body() -> None:
    class Sluggish(EventProducer):
        async def publish(self, topic: str, event: Event) -> None:
            await asyncio.sleep(0.2)

    intake = Intake(Sluggish("127.0.0.1:1", client_id="t"), max_events=50, max_event_bytes=1000, within_seconds=0.5)
    headers = {"content-type": "application/cloudevents-batch+json"}
    events = [{"specversion": "1.0", "id": str(n), "source": "/s", "type": "t"} for n in range(50)]
    assert len(await intake.cloudevents("acme", headers, json.dumps(events).encode())) == 50
    of_one = [{**event, "subject": "one"} for event in events]
    with pytest.raises(BrokerUnavailable):
        await asyncio.wait_for(intake.cloudevents("acme", headers, json.dumps(of_one).encode()), 2)


async def test_event_that_only_the_broker_finds_too_large() -> None:
    class Narrow(EventProducer):
        async def publish(self, topic: str, event: Event) -> None:
            raise EventTooLarge("10 bytes on broker-7:9092")

    intake = Intake(Narrow("127.0.0.1:1", client_id="t"), max_events=1, max_event_bytes=1000, within_seconds=5)
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    with pytest.raises(TooLarge, match="larger than Kafka takes"):
        await intake.cloudevents("acme", {"content-type": "application/cloudevents+json"}, json.dumps(event).encode())


async def test_body_that_comes_too_slowly(tmp_path: Path, kafka: str) -> None:
    async with (
        planner_stub(PlannerStub()) as address,
        gateway(tmp_path, kafka, address, body_timeout_seconds=0.3) as it,
    ):
        reader, writer = await asyncio.open_connection(it.host, it.port)
        writer.write(b"POST /hooks/bamboohr HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n")
        answer = bytearray()

        async def receive() -> None:
            # What is sent after the gateway has answered and closed is answered by a reset.
            with contextlib.suppress(ConnectionResetError):
                while chunk := await reader.read(65536):
                    answer.extend(chunk)

        receiving = asyncio.create_task(receive())
        while not answer and not receiving.done():
            writer.write(b" ")
            await asyncio.sleep(0.1)
        await receiving
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:factotum:problem:too-slow" in answer
