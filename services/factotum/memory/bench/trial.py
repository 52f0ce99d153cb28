"""One corpus, its questions, and four ways to answer them, one beside the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from factotum.api.memory.v1.memory_pb2 import KIND_TOOL, Kept, RecallRequest, Record
from factotum.memory.bench import measures
from factotum.memory.bench.files import Passage, Question
from factotum.memory.bench.plain import Plain
from factotum.memory.embedders.port import Embedder
from factotum.memory.given_out import GivenOut
from factotum.memory.keeping import Keeping
from factotum.memory.recall import Recalling
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.records import MAX_SEQUENCE_CHARACTERS, MAX_SPEAKER_CHARACTERS, MAX_TEXT_BYTES, completed
from factotum.memory.refusals import Refusals
from factotum.memory.searched import searched
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Entry
from factotum.memory.store.spaces import Space

TENANT: Final = "bench"
BATCH: Final = 500
# Records that come at once, as from a busy Kafka.
KEPT_AT_ONCE: Final = 64
GROUPS: Final = 5
NDCG_DEPTH: Final = 10
# In place of a text in which there is nothing: Milvus counts on words.
_NOTHING: Final = "-"
# Of a passage without a time. It must not be what the clock says: the same files give the same figures.
_NO_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)

# What is being done, how far, and of how many.
Progress = Callable[[str, int, int], None]


@dataclass
class Row:
    """What was measured of one way. `recall` is by depth; `groups` is None where no passage is in a sequence."""

    name: str
    recall: dict[int, float]
    ndcg: float
    groups: float | None
    p50_ms: float
    p99_ms: float
    records_per_second: float


@dataclass
class _Way:
    name: str
    ask: Callable[[str, int], Awaitable[list[int]]]
    orders: list[list[int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Trial:
    """Runs on two files of Milvus Lite in `folder`: the plain collection, and the memory's own store.

    Args:
        embedder: entered; the same for all ways.
        depths: k of recall@k.
    """

    def __init__(self, folder: Path, embedder: Embedder, depths: Sequence[int], progress: Progress) -> None:
        self._folder = folder
        self._embedder = embedder
        self._depths = tuple(depths)
        self._progress = progress

    async def run(self, passages: Sequence[Passage], asked: Sequence[Question]) -> list[Row]:
        """Dense, BM25, RRF and recall, in this order. Raises `StoreUnavailable`, or an error of the embedder."""
        space = Space(self._embedder.fingerprint, self._embedder.dimension)
        with Plain(self._folder / "plain.db", space.dimension) as plain:
            async with MemoryStore(str(self._folder / "memory.db"), space=space, timeout_seconds=60.0) as store:
                written = await self._fill(plain, store, passages)
                newest = max((passage.time or _NO_TIME for passage in passages), default=_NO_TIME)
                recalling = Recalling(store, self._embedder, lambda: newest)
                ways = self._ways(plain, recalling)
                await self._ask(ways, asked)
        return [self._row(way, passages, asked, written[way.name]) for way in ways]

    async def _fill(self, plain: Plain, store: MemoryStore, passages: Sequence[Passage]) -> dict[str, float]:
        """Records per second of each way, from the text on. Of recall: of those kept, through filter and look-ups."""
        keeping = Keeping(
            store,
            self._embedder,
            given_out=GivenOut(),
            forgotten=RecentlyForgotten(lambda: TENANT),
            refusals=Refusals(),
            now=lambda: _NO_TIME,
        )
        kept = 0
        embedding = writing = recalling = 0.0
        for start, batch in _batches(passages):
            texts = [_text(passage) for passage in batch]
            begun = time.perf_counter()
            vectors = await self._embedder.embed(texts)
            embedding += time.perf_counter() - begun
            begun = time.perf_counter()
            await asyncio.to_thread(plain.insert, start, texts, list(vectors))
            writing += time.perf_counter() - begun
            records = [_record(start + place, each) for place, each in enumerate(batch)]
            refused: list[Record] = []
            for first in range(0, len(records), KEPT_AT_ONCE):
                some = records[first : first + KEPT_AT_ONCE]
                begun = time.perf_counter()
                fates = await keeping.keep([(TENANT, record) for record in some])
                recalling += time.perf_counter() - begun
                refused += [
                    record for record, (_, fate) in zip(some, fates, strict=True) if fate.result == Kept.RESULT_REFUSED
                ]
            kept += len(records) - len(refused)
            await self._write(store, refused)
            self._progress("kept", start + len(batch), len(passages))
        count = len(passages)
        both = count / (embedding + writing)
        return {"dense": both, "bm25": count / writing, "rrf": both, "recall": kept / recalling}

    async def _write(self, store: MemoryStore, refused: Sequence[Record]) -> None:
        """What the write filter does not let through is to be found all the same: here the finding is measured."""
        records = [completed(TENANT, record, _NO_TIME) for record in refused]
        forms = [searched(record) for record in records]
        if records:
            own = await self._embedder.embed(forms)
            await store.upsert([Entry(TENANT, *each) for each in zip(records, forms, own, strict=True)])

    def _ways(self, plain: Plain, recalling: Recalling) -> list[_Way]:
        async def dense(text: str, count: int) -> list[int]:
            return await asyncio.to_thread(plain.by_meaning, await self._embedder.embed_query(text), count)

        async def bm25(text: str, count: int) -> list[int]:
            return await asyncio.to_thread(plain.by_words, text, count)

        async def rrf(text: str, count: int) -> list[int]:
            return await asyncio.to_thread(plain.by_both, text, await self._embedder.embed_query(text), count)

        async def recall(text: str, count: int) -> list[int]:
            request = RecallRequest(tenant=TENANT, query=text, limit=count)
            return [int(each.record.id) for each in await recalling.recall(request)]

        return [_Way("dense", dense), _Way("bm25", bm25), _Way("rrf", rrf), _Way("recall", recall)]

    async def _ask(self, ways: Sequence[_Way], asked: Sequence[Question]) -> None:
        deepest = max(*self._depths, NDCG_DEPTH)
        for way in ways:
            # The first question of all pays for what is opened and loaded by it.
            await way.ask(asked[0].text, deepest)
        for number, question in enumerate(asked, start=1):
            for way in ways:
                begun = time.perf_counter()
                order = await way.ask(question.text, deepest)
                way.seconds.append(time.perf_counter() - begun)
                way.orders.append(order)
            self._progress("asked", number, len(asked))

    def _row(self, way: _Way, passages: Sequence[Passage], asked: Sequence[Question], records_per_second: float) -> Row:
        orders = [[passages[number].id for number in order] for order in way.orders]
        pairs = list(zip(orders, asked, strict=True))
        group_of = {passage.id: passage.sequence for passage in passages if passage.sequence}
        wanted = [(order, measures.groups(question.relevant, group_of)) for order, question in pairs]
        grouped = [
            measures.recall(measures.groups(order, group_of), needed, GROUPS) for order, needed in wanted if needed
        ]
        return Row(
            way.name,
            {
                depth: _mean([measures.recall(order, question.relevant, depth) for order, question in pairs])
                for depth in self._depths
            },
            _mean([measures.ndcg(order, question.relevant, NDCG_DEPTH) for order, question in pairs]),
            _mean(grouped) if grouped else None,
            1000 * measures.percentile(way.seconds, 0.5),
            1000 * measures.percentile(way.seconds, 0.99),
            records_per_second,
        )


def _batches(passages: Sequence[Passage]) -> Iterator[tuple[int, Sequence[Passage]]]:
    for start in range(0, len(passages), BATCH):
        yield start, passages[start : start + BATCH]


def _record(number: int, passage: Passage) -> Record:
    # A kind that neither expires nor has versions: a file may put two passages at one place.
    record = Record(id=str(number), kind=KIND_TOOL, text=_text(passage))
    record.created_at.FromDatetime(passage.time or _NO_TIME)
    record.place.speaker = passage.speaker[:MAX_SPEAKER_CHARACTERS]
    if passage.sequence:
        record.place.sequence = passage.sequence[:MAX_SEQUENCE_CHARACTERS]
        record.place.position = passage.position
    return record


def _text(passage: Passage) -> str:
    text = passage.text if passage.text.strip() else _NOTHING
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
