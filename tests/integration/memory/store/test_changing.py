"""Another embedder is chosen, and nobody who uses the memory notices: on Milvus Lite, with embedders of few numbers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.embedders.changing import Changing, with_vectors
from factotum.memory.embedders.port import Vectors
from factotum.memory.errors import EmbedderRefused, EmbedderUnavailable, VectorsMoved
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Candidate, Scope, Shape, Vector
from factotum.memory.store.spaces import Space
from tests.support.stores import SPACE, entry, ids, vector

OTHER = Space("openai:example/model/16", 16)
SCOPE = Scope(tenant="acme")


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.memory.store.renewal.BATCH", 16)


class Fake:
    """`embedders.port.Embedder`: the vector of the number that a text ends with."""

    def __init__(self, space: Space) -> None:
        self.fingerprint, self.dimension = space.fingerprint, space.dimension
        self.texts = 0
        self.is_away = self.is_left = False

    async def __aexit__(self, *_: object) -> None:
        self.is_left = True

    async def embed(self, texts: Sequence[str]) -> Vectors:
        await asyncio.sleep(0.001)
        assert not self.is_left
        if self.is_away:
            raise EmbedderUnavailable("away")
        if [text for text in texts if "unspeakable" in text] and self.dimension == OTHER.dimension:
            raise EmbedderRefused("not this one")
        self.texts += len(texts)
        return np.array([vector(int(text.split()[-1]), self.dimension) for text in texts], np.float32)

    async def embed_query(self, text: str) -> Vectors:
        (found,) = await self.embed([text])
        return np.asarray(found, np.float32)


class Users:
    """Who searches, keeps and deletes, each few milliseconds, and knows at any moment what must be found."""

    def __init__(self, store: MemoryStore, embedder: Changing, standing: set[str]) -> None:
        self._store = store
        self._embedder = embedder
        self.standing = standing
        self.searches = 0
        self.ended = asyncio.Event()

    async def look(self, n: int) -> tuple[list[Candidate], list[Candidate]]:
        async def work() -> tuple[list[Candidate], list[Candidate]]:
            return await self._store.search(SCOPE, await self._embedder.embed_query(f"hello {n}"), "hello", 1000)

        return await with_vectors(work)

    async def keep(self, n: int, text: str) -> None:
        async def work() -> None:
            (made,) = await self._embedder.embed([text])
            await self._store.upsert([replace(entry("acme", text, id=str(n)), vector=made)])

        await with_vectors(work)

    async def search_on_and_on(self) -> None:
        while not self.ended.is_set():
            wanted, n = set(self.standing), random.randrange(10, 80)
            by_meaning, by_words = await self.look(n)
            assert (by_meaning[0].id, round(by_meaning[0].score, 3)) == (str(n), 1.0)
            wanted &= self.standing  # what was deleted meanwhile may be found or not
            assert wanted <= set(ids(by_meaning))
            assert wanted <= set(ids(by_words))
            self.searches += 1
            await asyncio.sleep(0.002)

    async def keep_and_delete_on_and_on(self) -> None:
        n = 100
        while not self.ended.is_set():
            await self.keep(n, f"hello {n}")
            if n % 3:
                self.standing.add(str(n))
            else:
                await self._store.delete("acme", [str(n)])
                assert str(n) not in {each.id for ranking in await self.look(n) for each in ranking}
            n += 1
            await asyncio.sleep(0.002)

    async def searched(self, more: int) -> None:
        until = self.searches + more
        while self.searches < until and not self.ended.is_set():
            await asyncio.sleep(0.005)


async def test_no_search_fails_or_misses_anything_from_the_choice_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with MemoryStore(str(path), space=SPACE) as store:
        await store.upsert([entry("acme", f"hello {n}", id=str(n), seed=n) for n in range(80)])
    old, new = Fake(SPACE), Fake(OTHER)

    async def made(fingerprint: str) -> Any:
        assert fingerprint == SPACE.fingerprint
        return old

    async with MemoryStore(str(path), space=OTHER) as store, Changing(cast(Any, new), store, made) as embedder:
        users = Users(store, embedder, set(map(str, range(80))))

        copied: list[str] = []

        async def prepare(records: Sequence[Record]) -> Sequence[tuple[str, Vector]]:
            if len(copied) in range(16, 48):
                # Already copied, and changed while the new one is away for a moment.
                new.is_away = True
                await users.keep(int(copied[0]), f"hello changed {copied[0]}")
            new.is_away = False
            await users.searched(1)
            copied.extend(record.id for record in records)
            texts = [record.text for record in records]
            return list(zip(texts, await new.embed(texts), strict=True))

        async def change() -> None:
            await users.searched(4)
            assert new.texts == 0, "nobody asked the new one yet"
            await users.keep(0, "hello unspeakable 0")
            assert await store.shape() == Shape(2, SPACE.fingerprint, settled=True)
            before, new.is_away = users.searches, True
            await store.reindex(prepare, lambda done, total: None)
            assert users.searches - before >= 5
            assert await store.shape() == Shape(2, OTHER.fingerprint, settled=True)
            await users.searched(4)
            users.ended.set()

        async with asyncio.TaskGroup() as group:
            for each in (users.search_on_and_on, users.search_on_and_on, users.keep_and_delete_on_and_on, change):
                group.create_task(each())
        assert old.is_left
        by_meaning, by_words = await users.look(5)
        assert set(ids(by_meaning)) == set(ids(by_words)) == users.standing
        assert next(each.score for each in by_meaning if each.id == "0") == 0, "refused: near to nothing, and there"
        _, changed = await store.search(SCOPE, vector(0, OTHER.dimension), "changed", 10)
        assert ids(changed) == [copied[0]]
        assert len(await embedder.embed_query("hello 7")) == OTHER.dimension


async def test_a_vector_made_before_the_store_went_over_is_made_again(tmp_path: Path) -> None:
    path = str(tmp_path / "memory.db")
    async with MemoryStore(path, space=SPACE) as store:
        await store.upsert([entry("acme", "hello 1", id="1", seed=1)])
    old, new = Fake(SPACE), Fake(OTHER)

    async def made(_: str) -> Any:
        return old

    async def prepare(records: Sequence[Record]) -> Sequence[tuple[str, Vector]]:
        return [(record.text, vector(1, OTHER.dimension)) for record in records]

    async with MemoryStore(path, space=OTHER) as store, Changing(cast(Any, new), store, made) as embedder:
        asked, (kept,) = await embedder.embed_query("hello 1"), await embedder.embed(["hello 2"])
        await store.reindex(prepare, lambda done, total: None)
        with pytest.raises(VectorsMoved):
            await store.search(SCOPE, asked, "hello", 10)
        with pytest.raises(VectorsMoved):
            await store.upsert([replace(entry("acme", "hello 2", id="2"), vector=kept)])
        vectors = [asked, vector(1, OTHER.dimension)]
        by_meaning, _ = await with_vectors(lambda: store.search(SCOPE, vectors.pop(0), "hello", 10))
        assert (ids(by_meaning), vectors) == (["1"], [])
        users = Users(store, embedder, set())
        await users.keep(2, "hello 2")
        assert set(ids((await users.look(1))[0])) == {"1", "2"}
