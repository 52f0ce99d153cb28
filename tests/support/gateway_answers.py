"""What tests ask of the gateway, and of the Kafka behind it."""

import httpx2

from factotum.events.envelope import Event
from factotum.events.topics import EVENTS
from tests.support.gateway import (
    ACME_TOKEN,
    GLOBEX_TOKEN,
)
from tests.support.kafka import read_all

ACME = {"authorization": f"Bearer {ACME_TOKEN}"}
GLOBEX = {"authorization": f"Bearer {GLOBEX_TOKEN}"}


def on_kafka(kafka: str, event_id: str) -> list[Event]:
    events = [Event.from_bytes(message.value) for message in read_all(kafka, EVENTS)]
    return [event for event in events if event.id == event_id]


def assert_problem(response: httpx2.Response, status: int, name: str = "") -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert problem["status"] == status
    assert problem["type"] == (f"urn:factotum:problem:{name}" if name else "about:blank")
