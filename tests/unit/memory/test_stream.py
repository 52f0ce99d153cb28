"""What becomes of each message of a batch, with a store that can be away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

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
from factotum.memory.errors import StoreUnavailable
from factotum.memory.store.milvus import Entry
from factotum.memory.stream import Ingest
from tests.support.memory import ENDED, observation, outcome

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Store:
    def __init__(self) -> None:
        self.failures = 0
        self.kept: list[Entry] = []

    async def upsert(self, entries: Sequence[Entry]) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        self.kept += entries


class Embedder:
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
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
        self.store, self.producer = Store(), Producer()
        fakes: tuple[Any, Any, Any] = (self.store, Embedder(), self.producer)
        self.ingest = Ingest(*fakes, lambda: ENDED)


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
    assert [entry.tenant for entry in bench.store.kept] == ["acme", "globex", "acme"]
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
