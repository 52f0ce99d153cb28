"""What leaves the ledger for Kafka, and what stays."""

from __future__ import annotations

import asyncio

import pytest

from factotum.events.errors import BrokerUnavailable
from factotum.tool_executor import outbox
from factotum.tool_executor.ledger import Ledger, Publication
from factotum.tool_executor.outbox import Outbox
from tests.support.ledgers import Open, waiting

ALL = [Publication("acme/run", str(number).encode(), "") for number in range(4)]


class Kafka:
    """Refuses these, or all of them."""

    def __init__(self, *refused: bytes, away: bool = False) -> None:
        self.refused = refused
        self.away = away
        self.tried: list[bytes] = []

    async def publish_bytes(self, topic: str, value: bytes, *, key: str, content_type: str) -> None:
        self.tried.append(value)
        if self.away or value in self.refused:
            raise BrokerUnavailable("no leader")


async def test_what_kafka_acknowledged_leaves(opened: Open) -> None:
    async with opened() as ledger:
        await ledger.publish_later(ALL)
        with pytest.raises(BrokerUnavailable):
            await Outbox(ledger, Kafka(b"2")).drain()  # type: ignore[arg-type]
        assert await waiting(ledger) == [ALL[2]]
        assert await Outbox(ledger, Kafka()).drain() == 1  # type: ignore[arg-type]
        assert await Outbox(ledger, Kafka()).drain() == 0  # type: ignore[arg-type]


async def test_that_kafka_is_away_is_found_out_once(opened: Open) -> None:
    async with opened() as ledger:
        await ledger.publish_later(ALL)
        kafka = Kafka(away=True)
        with pytest.raises(BrokerUnavailable):
            await Outbox(ledger, kafka).drain()  # type: ignore[arg-type]
        assert kafka.tried == [ALL[0].value] and await waiting(ledger) == ALL


class Busy(Kafka):
    """While the third is published the fourth comes."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    async def publish_bytes(self, topic: str, value: bytes, *, key: str, content_type: str) -> None:
        await super().publish_bytes(topic, value, key=key, content_type=content_type)
        if value == ALL[2].value:
            await self.ledger.publish_later(ALL[3:])


async def test_full_batches_go_on_at_once_and_the_rest_waits_for_others(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 60.0)
    stop = asyncio.Event()
    async with opened() as ledger:
        kafka = Busy(ledger)
        await ledger.publish_later(ALL[:3])
        running = asyncio.create_task(Outbox(ledger, kafka).run(stop))  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while await waiting(ledger) != ALL[3:]:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        assert kafka.tried == [one.value for one in ALL[:3]]
        stop.set()
        await running
        assert await waiting(ledger) == ALL[3:]
