"""From one generation to the next while the store serves: a new schema, another embedder, or both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import structlog

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.errors import EmbedderRefused, StoreUnavailable
from factotum.memory.searched import searched
from factotum.memory.store import scope
from factotum.memory.store.collection import LIGHT_PAGE
from factotum.memory.store.generations import Opened
from factotum.memory.store.port import Entry, Prepare, Progress, Vector
from factotum.memory.store.schema import Row
from factotum.memory.store.spaces import Space, no_vector

# Rows that are embedded at a time.
BATCH = 256
# Rounds in which nothing was to be done and yet not every row was seen, before it is said.
_MOST_SHORT_ROUNDS = 5

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Writing(Protocol):
    def __call__(self, work: Callable[[Opened], T], *, alone: bool = False) -> Awaitable[T]: ...


class Reading(Protocol):
    def __call__(self, work: Callable[[Opened], T]) -> Awaitable[T]: ...


class Renewal:
    """Fills a new generation, lets it serve, and drops the old one.

    From `begin` on every write and deletion goes to both. So whatever the new one holds is the newest there is, and
    what it holds already is left alone: by that a renewal that was killed goes on where it stood, without notes. A row
    is copied only while the old one still has it. At the end what the old one lacks is taken from the new one: there is
    some only where another process deleted between those two. What came without a vector for the new one is missing
    there: it is looked for again until nothing is.

    Args:
        prepare: for records whose vectors cannot be taken over: all, if `anew` or if another embedder made them. A
            record that it refuses is found by its words alone.
        anew: of a renewal that begins; one that goes on is what it was.
        grace: seconds between the beginning and the copying, in which every process comes to write to both.
    """

    def __init__(
        self,
        reading: Reading,
        writing: Writing,
        space: Space,
        prepare: Prepare,
        progress: Progress,
        *,
        anew: bool,
        grace: float,
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._space = space
        self._prepare = prepare
        self._progress = progress
        self._anew = anew
        self._grace = grace

    async def run(self) -> None:
        """Raises `StoreUnavailable`, and `EmbedderUnavailable` of `prepare`; what is done so far stays done."""
        await self._writing(lambda opened: opened.begin(anew=self._anew))
        await asyncio.sleep(self._grace)
        short = 0
        while short < _MOST_SHORT_ROUNDS:
            copied, saw_all = await self._fill()
            swept, swept_all = await self._sweep()
            if not (saw_all and swept_all):
                short = 0 if copied or swept else short + 1
            elif await self._writing(lambda opened: opened.switch(), alone=True):
                return
        raise StoreUnavailable("Milvus counts more records than it lists: what served goes on, ask for it again")

    async def _fill(self) -> tuple[int, bool]:
        """How many rows were copied, and whether all were seen that stood all the while."""
        total = await self._reading(lambda opened: opened.serving.collection.count(scope.of_every_tenant()))
        done, copied, last = 0, 0, ""
        self._progress(done, total)
        while page := await self._reading(lambda opened, last=last: self._page(opened, last)):  # type: ignore[misc]
            copied += await self._copy(page)
            last = page[-1]["key"]
            done += len(page)
            self._progress(done, max(done, total))
        left = await self._reading(lambda opened: opened.serving.collection.count(scope.of_every_tenant()))
        return copied, done >= min(total, left)

    def _page(self, opened: Opened, last: str) -> list[Row]:
        """The next rows in the order of keys: all that an entry needs, or only the key of what is there already."""
        shelf = opened.serving
        columns = [*shelf.schema.full, "dense"] if self._takes_over(opened) else shelf.schema.full
        rows = shelf.collection.page(scope.of_every_tenant(), columns, last, BATCH)
        there = self._present(opened, rows)
        return [{"key": row["key"]} if row["key"] in there else row for row in rows]

    async def _copy(self, page: Sequence[Row]) -> int:
        rows = [row for row in page if len(row) > 1]
        if not rows:
            return 0
        entries = await self._entries(rows)

        def write(opened: Opened) -> None:
            keys = [row["key"] for row in rows]
            wanted = opened.serving.present(keys) - opened.being_filled.present(keys)
            opened.being_filled.write(
                (entry, entry.vector) for key, entry in zip(keys, entries, strict=True) if key in wanted
            )

        await self._writing(write)
        return len(rows)

    async def _entries(self, rows: Sequence[Row]) -> list[Entry]:
        schema = await self._reading(lambda opened: opened.serving.schema)
        records = [schema.record(row) for row in rows]
        taken: dict[int, tuple[str, Vector]] = {
            index: (schema.searched(row), np.asarray(row["dense"], np.float32))
            for index, row in enumerate(rows)
            if any(row.get("dense", ()))
        }
        new = [index for index in range(len(rows)) if index not in taken]
        if new:
            taken.update(zip(new, await self._prepared([records[index] for index in new]), strict=True))
        return [Entry(row["tenant"], records[index], *taken[index]) for index, row in enumerate(rows)]

    async def _prepared(self, records: Sequence[Record]) -> Sequence[tuple[str, Vector]]:
        try:
            return await self._prepare(records)
        except EmbedderRefused as error:
            if len(records) > 1:
                return [one for record in records for one in await self._prepared([record])]
            log.warning("the embedder refuses a record", id=records[0].id, reason=str(error))
            return [(searched(records[0]), no_vector(self._space.dimension))]

    async def _sweep(self) -> tuple[int, bool]:
        """How many rows were removed, and whether all were seen that stood all the while."""

        def count(opened: Opened) -> int:
            return opened.being_filled.collection.count(scope.of_every_tenant())

        total = await self._writing(count)
        done, removed, last = 0, 0, ""
        while True:

            def step(opened: Opened, last: str = last) -> tuple[list[str], int]:
                page = opened.being_filled.collection.page(scope.of_every_tenant(), [], last, LIGHT_PAGE)
                keys = [row["key"] for row in page]
                return keys, opened.sweep(keys) if keys else 0

            keys, gone = await self._writing(step)
            if not keys:
                return removed, done >= min(total, removed + await self._writing(count))
            done += len(keys)
            removed += gone
            last = keys[-1]

    def _takes_over(self, opened: Opened) -> bool:
        same = opened.serving.generation.fingerprint == self._space.fingerprint
        return same and not opened.being_filled.generation.anew

    def _present(self, opened: Opened, rows: Sequence[Row]) -> set[str]:
        return opened.being_filled.present([row["key"] for row in rows])
