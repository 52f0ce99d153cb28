"""The same records twice on Milvus Lite: as the memory keeps them, and as one writes them by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from pymilvus import AnnSearchRequest, RRFRanker

from benchmarks import recall_texts
from benchmarks.embedded import embedded
from factotum.memory import records
from factotum.memory.bench.plain import CANDIDATES, NAME, RANK_CONSTANT, Plain
from factotum.memory.embedders.onnx import Embedder
from factotum.memory.searched import searched
from factotum.memory.settings import EmbeddingSettings
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Entry, Scope, Vector
from factotum.memory.store.spaces import Space

SEED = 1
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PART = 2000
# To be waited for while 100,000 records are written, and beside whatever else the machine does.
TIMEOUT_SECONDS = 120.0


class ByHand(Plain):
    """A collection of numbers, texts and vectors, asked by `hybrid_search`. All methods block."""

    def __enter__(self) -> ByHand:
        super().__enter__()
        return self

    def answer(self, text: str, vector: Vector, count: int, candidates: int = CANDIDATES) -> list[tuple[int, str]]:
        """The numbers and texts of the best `count`, by RRF over so many candidates of each search."""
        (hits,) = self._client.hybrid_search(
            NAME,
            reqs=[
                AnnSearchRequest([vector.tolist()], "dense", {"metric_type": "IP"}, limit=candidates),
                AnnSearchRequest([text], "sparse", {"metric_type": "BM25"}, limit=candidates),
            ],
            ranker=RRFRanker(RANK_CONSTANT),
            limit=count,
            output_fields=["text"],
        )
        return [(hit["id"], hit["entity"]["text"]) for hit in hits]


def by_hand(folder: Path, dimension: int) -> ByHand:
    return ByHand(folder / "by-hand.db", dimension)


def store(folder: Path, embedder: Embedder) -> MemoryStore:
    space = Space(embedder.fingerprint, embedder.dimension)
    return MemoryStore(str(folder / "factotum.db"), space=space, timeout_seconds=TIMEOUT_SECONDS)


def fill(folder: Path, count: int) -> None:
    """Both, unless they are. For a process of its own, so that what it needs is not counted as the reader's."""
    done = folder / f"filled-{count}"
    if not done.exists():
        for left in folder.glob("*.db*"):
            left.unlink()
        asyncio.run(_fill(folder, count))
        done.touch()


async def _fill(folder: Path, count: int) -> None:
    texts = recall_texts.texts(count, seed=SEED)
    cache = EmbeddingSettings().cache_dir
    async with Embedder(cache) as embedder:
        (cache / "benchmarks").mkdir(parents=True, exist_ok=True)
        vectors = await embedded(texts, embedder, cache / "benchmarks")
        with by_hand(folder, embedder.dimension) as plain:
            for first in range(0, count, PART):
                plain.insert(first, texts[first : first + PART], list(vectors[first : first + PART]))
        async with store(folder, embedder) as ours:
            kept = [records.completed(recall_texts.TENANT, each, NOW) for each in recall_texts.records(texts)]
            entries = [
                Entry(recall_texts.TENANT, each, searched(each), vector)
                for each, vector in zip(kept, vectors, strict=True)
            ]
            for first in range(0, count, PART):
                await ours.upsert(entries[first : first + PART])
            counted = sum((await ours.count(Scope(tenant=recall_texts.TENANT))).values())
    if counted != count:
        raise RuntimeError(f"{counted} records are kept, not {count}")
