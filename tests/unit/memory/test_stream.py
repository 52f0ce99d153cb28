"""What becomes of each message of a batch, with a store that can be away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from factotum.events.dead_letter import UNKNOWN_TENANT, DeadLetterData
from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable
from factotum.events.stream import Received
from factotum.events.topics import DEAD_LETTER, OUTCOMES
from factotum.memory import stream
from factotum.memory.errors import EmbedderRefused, EmbedderUnavailable, StoreFaulty, StoreRefused, StoreUnavailable
from factotum.memory.given_out import GivenOut
from factotum.memory.refusals import Refusals
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Entry
from factotum.memory.stream import Ingest
from tests.support.keeping import keeping_on
from tests.support.memory import ENDED, observation, outcome

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Store(InMemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.failures = 0
        self.faults = 0
        self.asked = 0
        self.kept: list[Entry] = []

    async def upsert(self, entries: Sequence[Entry]) -> None:
        self.asked += 1
        if self.faults:
            self.faults -= 1
            raise StoreFaulty("give it more room")
        if any("too much" in entry.record.text for entry in entries):
            raise StoreRefused("not this one")
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        self.kept += entries
        await super().upsert(entries)


class Embedder:
    def __init__(self) -> None:
        self.failures = 0

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.failures:
            self.failures -= 1
            raise EmbedderUnavailable("away")
        if any("unspeakable" in text for text in texts):
            raise EmbedderRefused("not this one")
        return np.full((len(texts), 384), 0.05, np.float32)


class Producer:
    def __init__(self) -> None:
        self.away = False
        self.published: list[tuple[str, Event]] = []

    async def publish(self, topic: str, event: Event) -> None:
        if self.away:
            raise BrokerUnavailable("away")
        self.published.append((topic, event))


class Bench:
    def __init__(self) -> None:
        self.store, self.embedder, self.refusals = Store(), Embedder(), Refusals()
        self.given_out, self.producer = GivenOut(), Producer()
        embedder, producer = cast(Any, self.embedder), cast(Any, self.producer)
        keeping = keeping_on(self.store, embedder, given_out=self.given_out, refusals=self.refusals, now=lambda: ENDED)
        self.ingest = Ingest(keeping, producer, lambda: ENDED)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(stream, "RETRY_SECONDS", (0.001, 0.01))
    return Bench()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(stream, "tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def received(value: Event | bytes, offset: int = 0, **headers: bytes) -> Received:
    return Received(OUTCOMES, 0, offset, b"", value if isinstance(value, bytes) else value.to_bytes(), headers)


async def test_a_batch_is_kept_with_the_tenant_of_each(bench: Bench) -> None:
    await bench.ingest([received(outcome()), received(outcome(tenant="globex")), received(observation("o"))])
    assert sorted(entry.tenant for entry in bench.store.kept) == ["acme", "acme", "globex"]
    assert not bench.producer.published


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\x00", b"[]", b'{"specversion": "1.0"}'])
async def test_the_unreadable_is_put_aside_and_the_rest_is_kept(bench: Bench, value: bytes) -> None:
    await bench.ingest([received(outcome()), received(value, 7), received(observation("o"))])
    assert len(bench.store.kept) == 2
    ((topic, letter),) = bench.producer.published
    assert (topic, letter.source, letter.tenant) == (DEAD_LETTER, "/memory", UNKNOWN_TENANT)
    data = DeadLetterData.model_validate(letter.data)
    assert (data.topic, data.offset, data.value) == (OUTCOMES, 7, value)
    assert data.reason


async def test_an_event_of_another_kind_is_put_aside_under_its_tenant(bench: Bench) -> None:
    await bench.ingest([received(outcome(tenant="globex").model_copy(update={"type": "other"}))])
    ((_, letter),) = bench.producer.published
    assert letter.tenant == "globex"
    assert "other" in DeadLetterData.model_validate(letter.data).reason


async def test_a_store_that_is_away_is_waited_for(bench: Bench) -> None:
    bench.store.failures = 5
    await bench.ingest([received(outcome())])
    assert len(bench.store.kept) == 1


async def test_an_embedder_that_is_away_is_waited_for(bench: Bench) -> None:
    bench.embedder.failures = 3
    await bench.ingest([received(outcome())])
    assert len(bench.store.kept) == 1


async def test_what_the_embedder_refuses_is_put_aside_and_the_rest_is_kept(bench: Bench) -> None:
    await bench.ingest([received(observation("o1")), received(observation("o2", note="unspeakable"), 7)])
    assert [entry.record.origin for entry in bench.store.kept] == ["o1"]
    ((_, letter),) = bench.producer.published
    assert (letter.tenant, DeadLetterData.model_validate(letter.data).offset) == ("acme", 7)


async def test_what_the_store_refuses_is_put_aside_and_the_rest_is_kept(bench: Bench) -> None:
    await bench.ingest([received(observation("o1")), received(observation("o2", note="too much"), 7)])
    assert [entry.record.origin for entry in bench.store.kept] == ["o1"]
    ((_, letter),) = bench.producer.published
    data = DeadLetterData.model_validate(letter.data)
    assert (letter.tenant, data.offset, data.reason) == ("acme", 7, "not this one")


async def test_a_store_at_fault_is_asked_seldom_and_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "FAULT_SECONDS", 0.2)
    bench.store.faults = 2
    work = asyncio.ensure_future(bench.ingest([received(outcome())]))
    await asyncio.sleep(0.1)
    assert bench.store.asked == 1, "and not with the pauses of a store that is away"
    await work
    assert bench.store.asked == 3
    assert len(bench.store.kept) == 1
    assert not bench.producer.published


async def test_a_batch_that_comes_again_in_any_order_changes_nothing(bench: Bench) -> None:
    batch = [received(outcome()), *(received(observation(f"o{n}")) for n in range(5))]
    await bench.ingest(batch)
    bench.embedder.failures = 10**9
    await bench.ingest(batch[::-1])
    await bench.ingest([*batch[2:4], *batch])
    assert len(bench.store.kept) == 6
    assert not bench.refusals.of("acme")


async def test_what_is_not_worth_keeping_is_counted_and_no_fault(bench: Bench) -> None:
    old = ENDED - timedelta(days=40)
    refused = [
        observation("o1", tool="memory.recall", output={"text": "The cafeteria serves lunch."}),
        observation("o2", started_at=old, ended_at=old),
        observation("o3", tool="", procedure="", note="?!"),
    ]
    await bench.ingest([received(event) for event in (*refused, outcome())])
    assert [entry.record.origin for entry in bench.store.kept] == [outcome().id]
    assert bench.refusals.of("acme") == {"recalled": 1, "expired": 1, "too_short": 1}
    assert not bench.producer.published


async def test_what_was_recalled_does_not_come_back_as_a_thought(bench: Bench) -> None:
    bench.given_out.note("acme", ["The cafeteria serves lunch between noon and two."])
    note = "The cafeteria serves lunch between noon and two."
    await bench.ingest([received(observation("o1", tool="", run_id="", procedure="", note=note))])
    assert not bench.store.kept
    assert bench.refusals.of("acme") == {"recalled": 1}


async def test_a_store_that_stays_away_holds_the_batch_until_it_is_cancelled(bench: Bench) -> None:
    bench.store.failures = 10**9
    work = asyncio.ensure_future(bench.ingest([received(outcome())]))
    done, _ = await asyncio.wait([work], timeout=0.1)
    assert not done
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_batch_is_not_done_while_its_dead_letter_cannot_be_written(bench: Bench) -> None:
    bench.producer.away = True
    with pytest.raises(BrokerUnavailable):
        await bench.ingest([received(outcome()), received(b"{")])


async def test_each_record_is_a_span_in_the_trace_of_its_message(bench: Bench, spans: InMemorySpanExporter) -> None:
    run = "acme.employee-onboarding.ab12"
    await bench.ingest([received(outcome(run), traceparent=PARENT.encode()), received(observation("o", run_id=""))])
    first, second = spans.get_finished_spans()
    assert first.name == second.name == "remember"
    assert first.parent is not None
    assert f"{first.context.trace_id:032x}-{first.parent.span_id:016x}" == PARENT[3:-3]
    assert first.attributes is not None
    assert first.attributes["factotum.run_id"] == run
    assert first.attributes["factotum.tenant"] == "acme"
    assert second.parent is None
    assert first.attributes["factotum.memory.fate"] == "kept"
