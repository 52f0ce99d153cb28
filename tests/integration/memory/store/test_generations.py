"""From one form of the records to the next while the store serves: an older release's, another embedder's."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from factotum.api.memory.v1.memory_pb2 import KIND_OBSERVATION, Place, Record
from factotum.memory.errors import EmbedderMismatch, StoreUnavailable
from factotum.memory.records import completed
from factotum.memory.store.collection import Collection, Row
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Burial, Entry, Prepare, Scope, Shape, Stretch, Vector
from factotum.memory.store.scope import Filter
from factotum.memory.store.spaces import Space
from tests.integration.memory.store.test_suite import (
    test_a_scope_narrows_in_every_way_at_once_and_everywhere as narrows,
)
from tests.support import first_release
from tests.support.stores import NOW, SPACE, entry, everywhere, ids, texts, vector

ROOT = Path(__file__).parents[4]
FIRST = Space("minilm-l6-v2/fp32/384/test", 384)
OTHER = Space("openai:example/model/16", 16)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.memory.store.renewal.BATCH", 16)


def preparing(space: Space, *before: Callable[[], object], mark: str = "") -> tuple[Prepare, list[Record]]:
    """Vectors of the space by the number in the id; before the first ones something happens. And what was prepared."""
    prepared: list[Record] = []
    waiting = list(before)

    async def prepare(records: Sequence[Record]) -> Sequence[tuple[str, Vector]]:
        while waiting:
            await waiting.pop(0)()  # type: ignore[misc]
        prepared.extend(records)
        return [(f"{record.text}{mark}", vector(int(record.id), space.dimension)) for record in records]

    return prepare, prepared


def of_space(space: Space, given: Entry) -> Entry:
    return replace(given, vector=vector(int(given.record.id), space.dimension))


def quiet(done: int, total: int) -> None:
    assert done <= total


def collections(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as file:
        names = file.execute("SELECT DISTINCT collection_name FROM collection_meta").fetchall()
    return sorted(name for (name,) in names)


async def test_a_file_of_the_first_releases_moves_while_it_serves(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    old = [
        Record(
            id=str(n), kind=KIND_OBSERVATION, text=f"hello {n}", run_id="r1", origin='o"', attributes_json='{"a":[1]}'
        )
        for n in range(50)
    ]
    for record in old:
        record.created_at.FromDatetime(NOW)
    kept = [("acme" if n % 2 else "globex", record, vector(n, 384)) for n, record in enumerate(old)]
    await asyncio.to_thread(first_release.keep, path, kept)

    async with MemoryStore(str(path), space=FIRST) as store:
        assert await store.shape() == await store.shape()
        assert (await store.shape()).schema_version == 1
        assert not (await store.shape()).settled
        acme = Scope(tenant="acme", alive_at=NOW)
        by_meaning, by_words = await store.search(acme, vector(7, 384), "hello", 100)
        assert ids(by_meaning)[0] == "7"
        assert set(ids(by_meaning)) == set(ids(by_words)) == {str(n) for n in range(1, 50, 2)}
        assert by_words[0].importance == 0.2, "as the rule of its kind says"
        await narrows(Narrow(store))
        added = of_space(FIRST, entry("acme", "hello 99", id="99", subjects=["ada"], place=Place(sequence="s")))
        await store.upsert([added])
        await store.delete("acme", ["1"])
        assert await store.get("acme", ["99"]) == {"99": added.record}

        prepare, prepared = preparing(FIRST)
        steps: list[int] = []

        def progress(done: int, total: int) -> None:
            steps.append(done)

        moving = asyncio.create_task(store.settle(prepare, progress))
        while len(steps) < 2:
            await asyncio.sleep(0)
        # In the middle of it: written, replaced and deleted in both, searched as ever.
        await store.upsert([of_space(FIRST, entry("acme", f"hello {n} again", id=str(n))) for n in (3, 49, 98)])
        await store.delete("acme", ["5", "47"])
        await store.bury("acme", ["9"], Burial.FORGOTTEN, NOW)
        await store.delete("acme", ["9"])
        assert "hello 98 again" in (await texts(store, replace(acme, alive_at=None), dimension=384))[1]
        await moving
        assert prepared == [], "vectors are taken over"
        assert await store.shape() == replace(await store.shape(), schema_version=2, settled=True)
        expected = {f"hello {n}" for n in range(11, 47, 2)} | {"hello 7", "hello 99"}
        expected |= {f"hello {n} again" for n in (3, 49, 98)}
        assert {t for t in await everywhere(store, "acme", dimension=384) if t.startswith("hello")} == expected
        assert len(await everywhere(store, "globex", dimension=384)) == 25
        (near, *_), _ = await store.search(Scope(tenant="acme"), vector(7, 384), "hello", 100)
        assert (near.id, round(near.score, 4)) == ("7", 1.0)
        moved = (await store.get("acme", ["7"]))["7"]
        assert moved == completed("acme", old[7], NOW)
        assert moved.HasField("expires_at")
        assert await store.get("acme", ["99"]) == {"99": added.record}
        assert ids(await store.stretches(Scope(tenant="acme", subjects=("ada",)), [Stretch("s", 0, 0)])) == ["99"]
        await store.settle(prepare, quiet)
    assert not [name for name in collections(path) if name == "memories"]
    assert len(collections(path)) == 2


class Narrow:
    """A store whose entries get vectors of the size that the first releases had."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def upsert(self, entries: Sequence[Entry]) -> None:
        await self._store.upsert([replace(each, vector=vector(0, 384)) for each in entries])

    async def search(self, scope: Scope, _: Vector, words: str, count: int) -> object:
        return await self._store.search(scope, vector(0, 384), words, count)


async def test_what_comes_with_another_embedder_is_found_and_vectors_are_not_mixed(tmp_path: Path) -> None:
    """The one of before cannot be made here."""
    path = tmp_path / "memory.db"
    async with MemoryStore(str(path), space=SPACE) as store:
        await store.upsert([entry("acme", f"hello {n}", id=str(n), seed=n) for n in range(40)])
        assert list(await store.vectors("acme", ["1"])) == ["1"]
    async with MemoryStore(str(path), space=OTHER) as store:
        assert await store.vectors("acme", ["1"]) == {}
        scope = Scope(tenant="acme")
        by_meaning, by_words = await store.search(scope, vector(7, 16), "hello", 100)
        assert (by_meaning, len(by_words)) == ([], 40)
        with pytest.raises(EmbedderMismatch, match=OTHER.fingerprint):
            await store.search(scope, vector(7, 8), "hello", 100)
        with pytest.raises(EmbedderMismatch):
            await store.upsert([entry("acme", "hello 50", id="50")])
        assert await store.shape() == Shape(2, SPACE.fingerprint, settled=True)
        await store.bury("acme", ["0"], Burial.FORGOTTEN, NOW)
        assert await store.delete("acme", ["0"]) == 1
        # What comes is found by its words, by its meaning and by its id; the reindex is not begun by it.
        await store.upsert([of_space(OTHER, entry("acme", "hello 50", id="50"))])
        by_meaning, by_words = await store.search(scope, vector(50, 16), "hello", 100)
        assert (ids(by_meaning), len(by_words)) == (["50"], 40)
        assert "50" in await store.get("acme", ["50"])
        assert await store.shape() == Shape(2, SPACE.fingerprint, settled=True, filling=OTHER.fingerprint)
    async with MemoryStore(str(path), space=OTHER) as store:
        prepare, prepared = preparing(OTHER)
        await store.settle(prepare, quiet)
        assert prepared == [], "nobody asked for it"
        by_meaning, _ = await store.search(scope, vector(50, 16), "hello", 100)
        assert ids(by_meaning) == ["50"]

        async def in_the_middle() -> None:
            assert not (await store.shape()).settled
            assert await store.vectors("acme", ["50"]) == {}, "as long as both stand"
            await store.upsert([of_space(OTHER, entry("acme", f"hello {n} new", id=str(n))) for n in (20, 60)])
            await store.delete("acme", ["1"])
            by_meaning, by_words = await store.search(scope, vector(60, 16), "hello", 100)
            assert (len(by_words), ids(by_meaning)[0], set(ids(by_meaning))) == (40, "60", {"20", "50", "60"})

        prepare, prepared = preparing(OTHER, in_the_middle, mark=" anew")
        await store.reindex(prepare, quiet)
        assert {record.id for record in prepared} >= {str(n) for n in range(2, 40)} - {"20"}
        assert await store.shape() == Shape(2, OTHER.fingerprint, settled=True)
        assert (await store.vectors("acme", ["50"]))["50"][1] == pytest.approx(vector(50, 16))
        by_meaning, by_words = await store.search(scope, vector(7, 16), "anew", 100)
        assert set(ids(by_words)) == {str(n) for n in range(2, 40)} - {"20"}
        assert set(ids(by_meaning)) == {*ids(by_words), "20", "50", "60"}
        assert round(by_meaning[0].score, 4) == 1.0
        assert (await store.get("acme", ["20"]))["20"].text == "hello 20 new"
        await store.upsert([of_space(OTHER, entry("acme", "hello 0", id="0"))])
        assert await store.get("acme", ["0"]) == {}, "buried in every generation"
    assert len(collections(path)) == 2


async def test_whoever_goes_back_to_the_embedder_of_before_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with MemoryStore(str(path), space=SPACE) as store:
        await store.upsert([entry("acme", f"hello {n}", id=str(n), seed=n) for n in range(40)])
    async with MemoryStore(str(path), space=OTHER) as store:
        await store.upsert([of_space(OTHER, entry("acme", f"hello {n} new", id=str(n))) for n in (20, 60)])
    async with MemoryStore(str(path), space=SPACE) as store:
        scope = Scope(tenant="acme")
        by_meaning, by_words = await store.search(scope, vector(7), "hello", 100)
        assert (ids(by_meaning)[0], len(by_words)) == ("7", 41)
        assert set(ids(by_meaning)) == {str(n) for n in range(40)} - {"20"}, "what has no vector is near to nothing"
        assert await store.shape() == Shape(2, SPACE.fingerprint, settled=False)
        prepare, prepared = preparing(SPACE)
        await store.settle(prepare, quiet)
        assert {record.id for record in prepared} == {"20", "60"}, "the other vectors are good"
        by_meaning, by_words = await store.search(scope, vector(60), "hello", 100)
        assert (ids(by_meaning)[0], len(by_meaning), len(by_words)) == ("60", 41, 41)
        assert (await store.shape()).settled
    assert len(collections(path)) == 2


KILLED = textwrap.dedent(
    """
    import asyncio, os, sys
    from factotum.memory.store import renewal
    from factotum.memory.store.milvus import MemoryStore
    from tests.integration.memory.store.test_generations import OTHER, preparing, quiet
    from tests.support.stores import SPACE
    renewal.BATCH = 16
    space = {"other": OTHER, "same": SPACE}[sys.argv[2]]
    async def main():
        prepare, prepared = preparing(space, mark=" anew")
        async def then_killed(records):
            if len(prepared) >= 32:
                os.kill(os.getpid(), 9)
            return await prepare(records)
        await MemoryStore(sys.argv[1], space=space).reindex(then_killed, quiet)
    asyncio.run(main())
    """
)


async def killed_in_the_middle(path: Path, space: str) -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'services'}"}
    arguments = [sys.executable, "-c", KILLED, str(path), space]
    ended = await asyncio.to_thread(subprocess.run, arguments, env=env, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL


async def test_a_killed_reindex_goes_on_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with MemoryStore(str(path), space=SPACE) as store:
        await store.upsert([entry("acme", f"hello {n}", id=str(n), seed=n) for n in range(80)])
    await killed_in_the_middle(path, "other")
    async with MemoryStore(str(path), space=OTHER) as store:
        assert not (await store.shape()).settled
        scope = Scope(tenant="acme")
        by_meaning, by_words = await store.search(scope, vector(0, 16), "hello", 100)
        assert (len(by_meaning), len(by_words)) == (32, 80)
        moved = by_meaning[0].id
        await store.delete("acme", [moved])
        by_meaning, by_words = await store.search(scope, vector(0, 16), "hello", 100)
        assert moved not in {*ids(by_meaning), *ids(by_words)}
        await store.upsert([of_space(OTHER, entry("acme", f"hello {moved}", id=moved))])
        # Before it goes on: what is written and deleted now is so in both.
        await store.upsert([of_space(OTHER, entry("acme", f"hello {n} new", id=str(n))) for n in (10, 70, 90)])
        await store.delete("acme", ["11", "71"])
        prepare, prepared = preparing(OTHER, mark=" anew")
        await store.settle(prepare, quiet)
        assert 40 <= len(prepared) <= 48, "what was done is not done again"
        expected = {f"hello {n}" for n in range(80) if n not in (10, 11, 70, 71)}
        expected |= {f"hello {n} new" for n in (10, 70, 90)}
        assert await everywhere_of(store) == expected
    assert len(collections(path)) == 2


@pytest.mark.slow
async def test_a_reindex_that_was_begun_and_given_up_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with MemoryStore(str(path), space=SPACE) as store:
        await store.upsert([entry("acme", f"hello {n}", id=str(n), seed=n) for n in range(80)])
    await killed_in_the_middle(path, "other")
    async with MemoryStore(str(path), space=SPACE) as store:
        assert await store.shape() == Shape(2, SPACE.fingerprint, settled=True)
        assert len(collections(path)) == 2
        by_meaning, by_words = await store.search(Scope(tenant="acme"), vector(7), "hello", 100)
        assert (ids(by_meaning)[0], len(by_meaning), len(by_words)) == ("7", 80, 80)


@pytest.mark.slow
async def test_a_killed_reindex_with_the_same_embedder_prepares_the_rest_anew(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with MemoryStore(str(path), space=SPACE) as store:
        await store.upsert([entry("acme", f"hello {n}", id=str(n), seed=n) for n in range(80)])
    await killed_in_the_middle(path, "same")
    async with MemoryStore(str(path), space=SPACE) as store:
        by_meaning, by_words = await store.search(Scope(tenant="acme"), vector(7), "hello", 100)
        assert (ids(by_meaning)[0], len(by_meaning), len(by_words)) == ("7", 80, 80), "it serves as before"
        prepare, prepared = preparing(SPACE, mark=" anew")
        await store.settle(prepare, quiet)
        assert len(prepared) == 48
        _, by_words = await store.search(Scope(tenant="acme"), vector(7), "anew", 100)
        assert len(by_words) == 80


async def everywhere_of(store: MemoryStore) -> set[str]:
    scope = Scope(tenant="acme", history=True)
    by_meaning, by_words = await store.search(scope, vector(0, 16), "hello", 1000)
    assert set(ids(by_meaning)) == set(ids(by_words))
    return {record.text async for record in store.records(scope)}


async def test_a_row_that_a_listing_left_out_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, _ = preparing(SPACE)
    listed, times = Collection.page, 2

    def page(self: Collection, within: Filter, columns: Sequence[str], after: str, size: int) -> list[Row]:
        nonlocal times
        rows = listed(self, within, columns, after, size)
        times -= bool(rows)
        return rows[:-1] if times >= 0 else rows

    async with MemoryStore(str(tmp_path / "memory.db"), space=SPACE) as store:
        await store.upsert([entry("acme", f"hello {number}", id=str(number)) for number in range(5)])
        monkeypatch.setattr(Collection, "page", page)
        await store.reindex(prepare, lambda done, total: None)
        assert len(await everywhere(store, "acme")) == 5
        before, times = await store.shape(), 1000
        with pytest.raises(StoreUnavailable, match="more records than it lists"):
            await store.reindex(prepare, lambda done, total: None)
        times = 0
        assert (await store.shape()).fingerprint == before.fingerprint
        assert len(await everywhere(store, "acme")) == 5


async def test_a_page_that_is_not_full_is_not_taken_for_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Collection.page

    def page(self: Collection, within: Filter, columns: Sequence[str], after: str, size: int) -> list[Row]:
        return listed(self, within, columns, after, size)[:2]

    monkeypatch.setattr(Collection, "page", page)
    async with MemoryStore(str(tmp_path / "memory.db"), space=SPACE) as store:
        await store.upsert([entry("acme", f"hello {number}", id=str(number)) for number in range(5)])
        assert len([record async for record in store.records(Scope(tenant="acme"))]) == 5
