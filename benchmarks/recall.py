"""Recall beside direct `pymilvus` `hybrid_search`, over the same records on Milvus Lite, with the same embedder.

Both answer the same questions with ten texts, one question at a time, in turns, in this process; each has an engine and
a file of its own. Direct is what one writes by hand: RRF over a collection of texts and vectors, without
tenants, times, places or expiry. Recall is `memory/recall.py` on `MemoryStore` with all that it does. Filling takes
minutes, in a process of its own; with `--folder` the files are kept and used again.

    python -m benchmarks.recall [--records 100000] [--questions 300] [--folder FOLDER] [--write FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import page, recall_stores, recall_texts
from factotum.api.memory.v1.memory_pb2 import RecallRequest, Record
from factotum.memory.embedders.onnx import Embedder
from factotum.memory.embedders.port import Vectors
from factotum.memory.ranking import weights
from factotum.memory.ranking.parts import parts as of_question
from factotum.memory.recall import Recalling
from factotum.memory.settings import EmbeddingSettings
from factotum.memory.store.port import Candidate, Scope, Standing, Store, Stretch, Vector
from factotum.runtime import clock

ANSWERS, WARM_UP = 10, 20
COLUMNS = ("", "p50 ms", "p99 ms", "ratio p50", "ratio p99")

Ask = Callable[[str], Awaitable[list[str]]]


@dataclass
class Side:
    """A row: what it is called, and how it is asked: a question to the texts that answer it."""

    title: str
    ask: Ask
    seconds: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        return quantile(self.seconds, share)

    def row(self, direct: Side) -> list[str]:
        ratios = [f"{self.quantile(share) / direct.quantile(share):.2f}" for share in (0.5, 0.99)]
        return [
            *(self.title, f"{1000 * self.quantile(0.5):.1f}", f"{1000 * self.quantile(0.99):.1f}"),
            *(f"**{ratios[0]}**", ratios[1]),
        ]


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Watched:
    """The store and the embedder as recall uses them, and how long each of their parts took: seconds, by its name."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self.parts: dict[str, list[float]] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.parts.setdefault(name, []).append(time.perf_counter() - began)

    async def embed_query(self, text: str) -> Vectors:
        return await self._embedder.embed_query(text)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        with self.part("tokens counted"):
            return self._embedder.count_tokens(texts)

    async def search(
        self, scope: Scope, vector: Vector | Awaitable[Vector], words: str, count: int
    ) -> tuple[list[Candidate], list[Candidate]]:
        with self.part(f"the question's vector and two searches, {count} candidates of each"):
            return await self._store.search(scope, vector, words, count)

    async def standing(self, scope: Scope, ids: Sequence[str], stretches: Sequence[Stretch]) -> list[Standing]:
        with self.part("ten records and their neighbours"):
            return await self._store.standing(scope, ids, stretches)

    async def get(self, tenant: str, ids: Sequence[str]) -> dict[str, Record]:
        return await self._store.get(tenant, ids)


@dataclass
class Outcome:
    """The sides, direct first; parts of a recall in milliseconds at p50; MiB of who holds them; how many questions were
    looked for in parts, too."""

    sides: list[Side]
    parts: dict[str, float]
    memory: dict[str, float]
    in_parts: int


async def compare(folder: Path, count: int, asked: int) -> Outcome:
    texts = recall_texts.texts(count, seed=recall_stores.SEED)
    asked_of = recall_texts.questions(texts, asked + WARM_UP, seed=2)
    del texts
    async with Embedder(EmbeddingSettings().cache_dir) as embedder, recall_stores.store(folder, embedder) as store:
        with recall_stores.by_hand(folder, embedder.dimension) as plain:
            watched = Watched(store, embedder)
            recalling = Recalling(watched, watched, lambda: recall_stores.NOW)  # type: ignore[arg-type]

            def directly(candidates: int) -> Ask:
                async def ask(question: str) -> list[str]:
                    vector = await embedder.embed_query(question)
                    return [text for _, text in plain.answer(question, vector, ANSWERS, candidates)]

                return ask

            async def recall(question: str) -> list[str]:
                request = RecallRequest(tenant=recall_texts.TENANT, query=question, limit=ANSWERS)
                return [each.record.text for each in await recalling.recall(request)]

            sides = [
                Side(f"direct, {weights.CANDIDATES} candidates of each search", directly(weights.CANDIDATES)),
                Side(f"direct, {ANSWERS}", directly(ANSWERS)),
                Side(f"recall, {weights.CANDIDATES}", recall),
            ]
            for question in asked_of[:WARM_UP]:
                for side in sides:
                    await side.ask(question)
            watched.parts.clear()
            for turn, question in enumerate(asked_of[WARM_UP:]):
                # Each goes first as often as the others.
                for side in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
                    began = time.perf_counter()
                    await side.ask(question)
                    side.seconds.append(time.perf_counter() - began)
            memory = resident(folder)
    parts = {name: 1000 * quantile(seconds, 0.5) for name, seconds in watched.parts.items()}
    parts["all the rest"] = 1000 * sides[-1].quantile(0.5) - sum(parts.values())
    return Outcome(sides, parts, memory, sum(bool(of_question(text)) for text in asked_of[WARM_UP:]))


def resident(folder: Path) -> dict[str, float]:
    """MiB of this process and of both engines, which are its children."""
    it = psutil.Process()
    held = {"this process": it.memory_info().rss / 2**20}
    for name, title in (("factotum.db", "the memory's engine"), ("by-hand.db", "the engine asked directly")):
        path = str((folder / name).absolute())
        (engine,) = (child for child in it.children() if path in child.cmdline())
        held[title] = engine.memory_info().rss / 2**20
    return held


def write(path: Path, outcome: Outcome, *, count: int, asked: int) -> None:
    page.put(
        path,
        "Recall, beside direct hybrid_search",
        [
            "The same records on Milvus Lite, the same embedder (MiniLM in 8 bits, in this process), ten texts for",
            "each question, one question at a time, in turns. Direct is `hybrid_search` of `pymilvus` with RRF over",
            "a collection of texts and vectors. Recall has tenants, kinds, times, expiry and places beside them,",
            "filters by tenant and expiry, looks up neighbours, ranks, and gives whole records with the reasons. A",
            "question is four to nine words of a record. The records of a sequence have nothing to do with each other",
            "here, so that what is found says nothing: `factotum memory bench` measures that. Read the ratios, not the",
            "figures: the machine did other work at the same time.",
            "",
            f"{outcome.in_parts} of the questions are of two sentences: recall looks for each of those, too, which is",
            "three times as many vectors and searches. Direct does not; they make the p99 of recall.",
            "",
            f"{count:,} records, {asked} questions; {os.cpu_count()} cores; {clock.now():%Y-%m-%d}.",
            "",
            *page.table(COLUMNS, [side.row(outcome.sides[0]) for side in outcome.sides]),
            "",
            "Ratio: to the first row, which asks for as many candidates as recall does.",
            "",
            "Where a recall's time goes, each part at its p50:",
            "",
            *page.table(("", "ms"), [[name, f"{value:.1f}"] for name, value in outcome.parts.items()]),
            "",
            "Memory afterwards: "
            + ", ".join(f"{name} {value:,.0f} MiB" for name, value in outcome.memory.items())
            + ".",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Recall beside direct hybrid_search on Milvus Lite")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="where the filled files are kept; else they are made anew")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the tables as Markdown")
    arguments = parser.parse_args()
    folder: Path = arguments.folder or Path(tempfile.mkdtemp(prefix="factotum-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        filling = multiprocessing.get_context("spawn").Process(
            target=recall_stores.fill, args=(folder, arguments.records)
        )
        filling.start()
        filling.join()
        if filling.exitcode:
            raise SystemExit("the stores were not filled")
        outcome = asyncio.run(compare(folder, arguments.records, arguments.questions))
    finally:
        if not arguments.folder:
            shutil.rmtree(folder, ignore_errors=True)
    table = Table(*COLUMNS, title=f"Recall over {arguments.records:,} records")
    for side in outcome.sides:
        table.add_row(*side.row(outcome.sides[0]))
    console = Console(width=120)
    console.print(table)
    for name, value in outcome.parts.items():
        console.print(f"{value:8.1f} ms  {name}")
    for name, value in outcome.memory.items():
        console.print(f"{value:8.0f} MiB {name}")
    if arguments.write:
        write(arguments.write, outcome, count=arguments.records, asked=arguments.questions)


if __name__ == "__main__":
    main()
