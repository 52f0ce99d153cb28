"""A message that the broker refuses does not spoil the ones after it."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OutOfOrderSequenceNumber

from factotum.events import producer
from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable, EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.topics import OUTCOMES


class Counting:
    """aiokafka's producer after a refusal: all that it sends later is out of order, until it is made anew."""

    refusal: type[KafkaError]
    made: list[Counting]

    def __init__(self, **_: Any) -> None:
        self.spoilt = self.stopped = False
        self.made.append(self)

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True

    async def send_and_wait(self, topic: str, value: bytes, **_: Any) -> None:
        if self.spoilt:
            raise OutOfOrderSequenceNumber
        if b"refused" in value:
            self.spoilt = True
            raise self.refusal


@pytest.mark.parametrize(
    ("refusal", "error"),
    [(MessageSizeTooLargeError, EventTooLarge), (OutOfOrderSequenceNumber, BrokerUnavailable)],
)
async def test_after_a_refusal_the_next_message_goes_through(
    monkeypatch: pytest.MonkeyPatch, refusal: type[KafkaError], error: type[Exception]
) -> None:
    Counting.refusal, Counting.made = refusal, []
    monkeypatch.setattr(producer, "AIOKafkaProducer", Counting)
    async with EventProducer("127.0.0.1:1", client_id="test") as publishing:
        with pytest.raises(error):
            await publishing.publish(OUTCOMES, Event(id="refused", source="/t", type="t", tenant="acme"))
        await publishing.publish(OUTCOMES, Event(id="good", source="/t", type="t", tenant="acme"))
    assert [made.stopped for made in Counting.made] == [True, True]
