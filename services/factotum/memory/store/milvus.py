"""The records in Milvus, Zilliz Cloud or Milvus Lite: all tenants in one collection, each request confined to one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from factotum.api.memory.v1.memory_pb2 import Receipt, Record
from factotum.memory import records
from factotum.memory.errors import StoreFaulty, StoreRefused, StoreUnavailable
from factotum.memory.marks import Mark
from factotum.memory.store import scope as filters
from factotum.memory.store.collection import KEYS, LIGHT_PAGE, PAGE, Connection, Database, Row
from factotum.memory.store.faults import ERRORS, is_of_a_moved_collection, is_refusal, unable
from factotum.memory.store.generations import Opened
from factotum.memory.store.port import (
    Burial,
    Candidate,
    Entry,
    Prepare,
    Progress,
    Scope,
    Shape,
    Standing,
    Stretch,
    Vector,
)
from factotum.memory.store.renewal import Renewal
from factotum.memory.store.schema import CURRENT
from factotum.memory.store.spaces import Space, Spaces
from factotum.memory.store.turns import Turns

THREADS = 4

T = TypeVar("T")


class MemoryStore:
    """`Store` in Milvus. An async context manager.

    Each call runs in a thread. After a failure the next call connects anew, and starts Milvus Lite anew if it died.
    On Milvus Lite a write and a search do not overlap: the engine counts words and documents in two steps, and fails
    a search by words between them; and it replaces a row in two, between which neither would be found.

    Args:
        uri: `http(s)://…` of a Milvus server or of Zilliz Cloud, or the path of a file for Milvus Lite.
        token: of the server; empty if it wants none.
        space: of the chosen embedder's vectors.
        timeout_seconds: of one request.
    """

    def __init__(self, uri: str, token: str = "", *, space: Space, timeout_seconds: float = 10.0) -> None:
        self._connection = Connection(uri, token, timeout_seconds)
        self._spaces = Spaces(space)
        self._timeout = timeout_seconds
        self._executor = ThreadPoolExecutor(THREADS, "milvus")
        self._turns = Turns()
        self._writers = threading.Lock()
        self._opening = threading.Lock()
        self._opened: tuple[int, Opened] | None = None
        self._renewing = asyncio.Lock()
        self._fault = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self._connection.close)
        self._executor.shutdown(wait=False)

    def take_also(self, former: Space) -> None:
        """From now on vectors may come as those of two embedders, see `Spaces`."""
        self._spaces.former = former

    async def connect(self) -> None:
        """Makes the collections if there are none. Needed only to learn early that Milvus is away."""
        await self._reading(lambda opened: None)

    async def trouble(self) -> str:
        """What keeps it from serving now; empty: nothing does. A fault of a write stands until a write succeeds."""
        try:
            await self._reading(lambda opened: opened.state.generations())
        except (StoreUnavailable, StoreRefused) as error:
            return str(error)
        return self._fault

    async def upsert(self, entries: Sequence[Entry]) -> None:
        """Returns once they can be found."""

        def write(opened: Opened) -> None:
            buried = opened.state.buried((entry.tenant, entry.record.id) for entry in entries)
            kept = [entry for entry in entries if (entry.tenant, entry.record.id) not in buried]
            for start in range(0, len(kept), KEYS):
                opened.write(kept[start : start + KEYS])

        if entries:
            await self._writing(write)

    async def search(
        self, scope: Scope, vector: Vector | Awaitable[Vector], words: str, count: int
    ) -> tuple[list[Candidate], list[Candidate]]:
        def by_meaning(opened: Opened, looked_with: Vector) -> list[Candidate]:
            found = opened.for_meaning(looked_with)
            if found is None:
                return []
            shelf, part = found
            within = filters.of_scope(scope, shelf.schema.columns)
            hits = shelf.collection.nearest(within, part, shelf.schema.light, count)
            if shelf.generation.impure:
                # To no vector everything is equally far.
                hits = [hit for hit in hits if hit[1]]
            return _candidates(shelf.schema.candidate, hits)

        def by_words(opened: Opened) -> list[Candidate]:
            shelf = opened.serving
            within = filters.of_scope(scope, shelf.schema.columns)
            hits = shelf.collection.with_words(within, words, shelf.schema.light, count)
            return _candidates(shelf.schema.candidate, hits)

        async def nearest() -> list[Candidate]:
            looked_with = await vector if isinstance(vector, Awaitable) else vector
            return await self._reading(lambda opened: by_meaning(opened, looked_with))

        near, worded = await asyncio.gather(nearest(), self._reading(by_words))
        return near, worded

    async def get(self, tenant: str, ids: Sequence[str]) -> dict[str, Record]:
        def read(opened: Opened) -> dict[str, Record]:
            shelf = opened.serving
            found: dict[str, Record] = {}
            wanted = set(ids)
            for start in range(0, len(ids), KEYS):
                part = ids[start : start + KEYS]
                within = filters.near_ids(tenant, part, shelf.schema.columns)
                rows = shelf.few(within, shelf.schema.full, len(part))
                found.update((row["id"], shelf.schema.record(row)) for row in rows if row["id"] in wanted)
            return found

        return await self._reading(read)

    async def vectors(self, tenant: str, ids: Sequence[str]) -> dict[str, tuple[str, Vector]]:
        def read(opened: Opened) -> dict[str, tuple[str, Vector]]:
            shelf = opened.serving
            is_chosen = shelf.generation.fingerprint == self._spaces.chosen.fingerprint
            if opened.filling is not None or not is_chosen or shelf.schema is not CURRENT:
                return {}
            found: dict[str, tuple[str, Vector]] = {}
            wanted = set(ids)
            for start in range(0, len(ids), KEYS):
                part = ids[start : start + KEYS]
                within = filters.near_ids(tenant, part, shelf.schema.columns)
                for row in shelf.few(within, ["id", "searched", "dense"], len(part)):
                    dense = np.asarray(row["dense"], np.float32)
                    # One of zeros stands where the embedder took the text not.
                    if row["id"] in wanted and dense.any():
                        found[row["id"]] = row["searched"], dense
            return found

        return await self._reading(read)

    async def stretches(self, scope: Scope, stretches: Sequence[Stretch]) -> list[Candidate]:
        named = [each for each in stretches if each.sequence]
        sequences = {each.sequence for each in named}
        places = sum(each.last - each.first + 1 for each in named)

        def read(opened: Opened) -> list[Candidate]:
            shelf = opened.serving
            within = filters.near(scope, [], named, shelf.schema.columns)
            rows = shelf.few(within, shelf.schema.light, places)
            found = [shelf.schema.candidate(row, 0.0) for row in rows]
            return [each for each in found if each.sequence in sequences]

        return await self._reading(read) if named else []

    async def standing(self, scope: Scope, ids: Sequence[str], stretches: Sequence[Stretch]) -> list[Standing]:
        named = [each for each in stretches if each.sequence]
        sequences = {each.sequence for each in named}
        # A place may hold two versions of a chunk.
        most = len(ids) + 2 * sum(each.last - each.first + 1 for each in named)

        def read(opened: Opened) -> list[Standing]:
            shelf = opened.serving
            within = filters.near(scope, ids, named, shelf.schema.columns)
            rows = shelf.few(within, shelf.schema.full, most)
            found = ((shelf.schema.candidate(row, 0.0), row) for row in rows)
            return [
                Standing(each, partial(shelf.schema.record, row))
                for each, row in found
                if each.id in ids or each.sequence in sequences
            ]

        return await self._reading(read) if ids or named else []

    async def records(self, scope: Scope) -> AsyncIterator[Record]:
        last = ""
        while True:
            page, last = await self._reading(lambda opened, last=last: _page(opened, scope, last))  # type: ignore[misc]
            for record in page:
                yield record
            if not last:
                return

    async def count(self, scope: Scope) -> dict[str, int]:
        def read(opened: Opened) -> dict[str, int]:
            shelf = opened.serving
            counted = {
                kind: shelf.collection.count(filters.of_scope(replace(scope, kinds=(kind,)), shelf.schema.columns))
                for kind in scope.kinds or records.KINDS.values()
            }
            return {kind: number for kind, number in counted.items() if number}

        return await self._reading(read)

    async def tenants(self) -> list[str]:
        def read(opened: Opened) -> list[str]:
            pages = opened.serving.collection.pages(filters.of_every_tenant(), ["tenant"], LIGHT_PAGE)
            return sorted({row["tenant"] for page in pages for row in page})

        return await self._reading(read)

    async def delete(self, tenant: str, ids: Sequence[str]) -> int:
        records.checked_tenant(tenant)
        return await self._writing(lambda opened: opened.delete(tenant, ids)) if ids else 0

    async def scrub(self) -> None:
        await self._writing(lambda opened: opened.scrub(), alone=True)

    async def bury(self, tenant: str, ids: Sequence[str], why: Burial, now: datetime) -> None:
        records.checked_tenant(tenant)
        if ids:
            await self._writing(lambda opened: opened.state.bury(tenant, ids, why, now))

    async def buried(self, tenant: str, ids: Sequence[str]) -> dict[str, Burial]:
        places = [(records.checked_tenant(tenant), identity) for identity in ids]
        found = await self._reading(lambda opened: opened.state.buried(places))
        return {identity: why for (_, identity), why in found.items()}

    @property
    def is_shared(self) -> bool:
        return not self._connection.is_lite

    async def mark(self, mark: Mark) -> None:
        await self._writing(lambda opened: opened.state.mark(mark))
        if self.is_shared:
            # What others have under way, and decided on before, ends within a timeout.
            await asyncio.sleep(self._timeout)

    async def marks(self, since: datetime) -> list[Mark]:
        found, old = await self._reading(lambda opened: opened.state.marks(since))
        if old:
            await self._writing(lambda opened: opened.state.remove(old))
        return found

    async def keep_receipt(self, tenant: str, receipt: Receipt) -> None:
        records.checked_tenant(tenant)
        await self._writing(lambda opened: opened.state.keep_receipt(tenant, receipt))

    async def receipts(self, tenant: str) -> list[Receipt]:
        return await self._reading(lambda opened: opened.state.receipts(tenant))

    async def shape(self) -> Shape:
        def read(opened: Opened) -> Shape:
            generation = opened.serving.generation
            filling = opened.filling.generation.fingerprint if opened.filling else ""
            return Shape(generation.schema, generation.fingerprint, opened.is_settled, filling)

        return await self._reading(read)

    async def settle(self, prepare: Prepare, progress: Progress) -> None:
        async with self._renewing:
            if not (await self.shape()).settled:
                await self._renewal(prepare, progress, anew=False).run()

    async def reindex(self, prepare: Prepare, progress: Progress) -> None:
        async with self._renewing:
            await self._renewal(prepare, progress, anew=True).run()

    def _renewal(self, prepare: Prepare, progress: Progress, *, anew: bool) -> Renewal:
        # Another process may not have heard yet of what begins here; all it has under way ends within its timeout.
        grace = 0.0 if self._connection.is_lite else self._timeout
        return Renewal(self._reading, self._writing, self._spaces.chosen, prepare, progress, anew=anew, grace=grace)

    async def _reading(self, work: Callable[[Opened], T]) -> T:
        def do(database: Database) -> T:
            with self._turns.reading():
                opened = self._current(database)
                try:
                    return work(opened)
                except ERRORS as error:
                    if self._connection.is_lite or not is_of_a_moved_collection(error):
                        raise
                    self._forget(opened)
                    return work(self._current(database))

        return await self._do(do)

    async def _writing(self, work: Callable[[Opened], T], *, alone: bool = False) -> T:
        """One writes at a time; `alone`: and nobody reads."""

        def do(database: Database) -> T:
            with self._writers, self._turn(alone=alone):
                return work(self._checked(database))

        try:
            result = await self._do(do)
        except StoreFaulty as error:
            self._fault = str(error)
            raise
        self._fault = ""
        return result

    def _turn(self, *, alone: bool) -> AbstractContextManager[None]:
        return self._turns.writing() if alone or self._connection.is_lite else _nothing()

    def _current(self, database: Database) -> Opened:
        with self._opening:
            if self._opened is None or self._opened[0] != database.identity:
                partitioned = not self._connection.is_lite
                try:
                    self._opened = database.identity, Opened(database, self._spaces, partitioned=partitioned)
                except ERRORS as error:
                    if is_refusal(error):
                        raise unable(error) from error
                    raise
            return self._opened[1]

    def _checked(self, database: Database) -> Opened:
        """Milvus Lite is one process' alone; elsewhere another one may have begun or ended a reindex meanwhile."""
        opened = self._current(database)
        if not self._connection.is_lite and not opened.is_current():
            self._forget(opened)
            opened = self._current(database)
        return opened

    def _forget(self, opened: Opened) -> None:
        with self._opening:
            if self._opened is not None and self._opened[1] is opened:
                self._opened = None

    async def _do(self, work: Callable[[Database], T]) -> T:
        # The whole of a call in one thread: who is cancelled stops waiting, and what was begun is ended.
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._connection.do, work)


def _candidates(make: Callable[[Row, float], Candidate], hits: Sequence[tuple[Row, float]]) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    for row, score in hits:
        found.setdefault(row["id"], make(row, score))
    return list(found.values())


def _page(opened: Opened, scope: Scope, last: str) -> tuple[list[Record], str]:
    """The records after a key, and the last key; empty: there are no more."""
    shelf = opened.serving
    rows = shelf.collection.page(filters.of_scope(scope, shelf.schema.columns), shelf.schema.full, last, PAGE)
    return [shelf.schema.record(row) for row in rows], rows[-1]["key"] if rows else ""


@contextmanager
def _nothing() -> Iterator[None]:
    yield
