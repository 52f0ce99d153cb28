"""Whether an event is there already, asked of a real (in-process) cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from factotum.events import read_back
from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable
from factotum.events.producer import EventProducer
from factotum.events.topics import EVENTS
from tests.support.kafka import embedded_kafka


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with embedded_kafka([EVENTS]) as bootstrap_servers:
        yield bootstrap_servers


def event(id_: str, subject: str | None = None, **fields: str) -> Event:
    given = {"id": id_, "source": "/hr", "type": "com.acme.done", "tenant": "acme", "subject": subject, **fields}
    return Event.model_validate({"specversion": "1.0", **given})


async def test_an_event_that_stands_in_its_partition_is_found(kafka: str) -> None:
    async with EventProducer(kafka, client_id="first") as producer:
        assert not await producer.published_before(EVENTS, event("a"))
        for each in (event("a"), event("b"), event("c", "ada")):
            await producer.publish(EVENTS, each)
        # What cannot be read as an event is passed over.
        await producer.publish_bytes(EVENTS, b"no event", key="acme/ada", content_type="text/plain")
    async with EventProducer(kafka, client_id="second") as producer:
        for each in (event("a"), event("b"), event("c", "ada")):
            assert await producer.published_before(EVENTS, each)
        for each in (event("d"), event("a", source="/it"), event("a", tenant="globex"), event("d", "ada")):
            assert not await producer.published_before(EVENTS, each)


async def test_only_the_last_messages_are_looked_at(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "MOST_MESSAGES", 2)
    async with EventProducer(kafka, client_id="test") as producer:
        for id_ in ("1", "2", "3"):
            await producer.publish(EVENTS, event(id_, "grace"))
        found = [await producer.published_before(EVENTS, event(id_, "grace")) for id_ in ("1", "2", "3")]
    assert found == [False, True, True]


async def test_a_broker_that_is_away_is_an_error_not_a_no() -> None:
    async with EventProducer("127.0.0.1:1", client_id="test", timeout_seconds=0.5) as producer:
        with pytest.raises(BrokerUnavailable):
            await producer.published_before(EVENTS, event("a"))
