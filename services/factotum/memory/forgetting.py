"""Forgetting: every record of a person goes, and what was made from such records, and that is shown."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from factotum.api.memory.v1.memory_pb2 import Receipt, Record
from factotum.memory.concerning import Concerns, checked_identifiers
from factotum.memory.embedders.port import Embedder
from factotum.memory.errors import InvalidRequest, StoreUnavailable
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.records import checked_id, checked_tenant, kind_name
from factotum.memory.store.port import Burial, Scope, Store

MAX_IDS = 500
# Rounds of looking and removing before it is said that somebody keeps writing what is to be forgotten.
MOST_ROUNDS = 5
# Removed texts that are searched for again by their meaning: enough to find an index that was missed.
MEANINGS_TRIED = 20
SEARCH_DEPTH = 100
# Records in one request to the store.
BATCH = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be forgotten: the records that name an identifier, or those with these ids."""

    tenant: str
    identifiers: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


def wanted(tenant: str, subjects: Sequence[str], ids: Sequence[str]) -> Wanted:
    """Raises `InvalidRequest`."""
    checked_tenant(tenant)
    if bool(subjects) == bool(ids):
        raise InvalidRequest("give subjects or ids, and not both")
    if subjects:
        return Wanted(tenant, identifiers=checked_identifiers(subjects))
    if len(ids) > MAX_IDS:
        raise InvalidRequest(f"ids: at most {MAX_IDS}")
    return Wanted(tenant, ids=tuple(dict.fromkeys(map(checked_id, ids))))


class Forgetting:
    """Forgets and exports. Raises `StoreUnavailable`; what was begun is then to be asked for again.

    Args:
        recently: is told what is forgotten, so that what is still on its way is not kept.
        passed: waits for what was on its way before that was told.
        new_id: of receipts.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        recently: RecentlyForgotten,
        *,
        passed: Callable[[], Awaitable[None]],
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._recently = recently
        self._passed = passed
        self._now = now
        self._new_id = new_id

    async def forget(self, asked: Wanted, *, dry_run: bool = False) -> Receipt:
        """Removes until nothing is found any more, then searches for it in every way there is.

        A dry run counts what would go; its receipt has no id and is not kept.
        """
        if dry_run:
            doomed = await self._doomed(asked)
            return _receipt("", self._now(), list(doomed.values()), asked, searches=0)
        if asked.identifiers:
            await self._store.mark(self._recently.note(asked.tenant, asked.identifiers, self._now()))
        # Ids that do not stand are buried as well: their event may still be on its way.
        await self._store.bury(asked.tenant, asked.ids, Burial.FORGOTTEN, self._now())
        await self._passed()
        removed: dict[str, Record] = {}
        doomed = await self._doomed(asked)
        for _ in range(MOST_ROUNDS):
            if not doomed:
                break
            await self._remove(asked.tenant, list(doomed))
            removed.update(doomed)
            doomed = await self._doomed(asked)
        if doomed:
            raise StoreUnavailable(f"{len(doomed)} records came while they were being forgotten: forget again")
        await self._store.scrub()
        searches = await self._searched_again(asked, list(removed.values()))
        receipt = _receipt(self._new_id(), self._now(), list(removed.values()), asked, searches=searches)
        await self._store.keep_receipt(asked.tenant, receipt)
        log.info("forgotten", tenant=asked.tenant, receipt=receipt.id, records=len(removed), searches=searches)
        return receipt

    async def export(self, asked: Wanted) -> AsyncIterator[Record]:
        """Everything that `forget` would remove."""
        for record in (await self._doomed(asked)).values():
            yield record

    async def _doomed(self, asked: Wanted) -> dict[str, Record]:
        """The records that are asked for, and those that were made from them, from what was made from them, ..."""
        concerned = Concerns(asked.identifiers) if asked.identifiers else None
        found: dict[str, Record] = {}
        derived: list[Record] = []
        async for record in self._store.records(Scope(tenant=asked.tenant, history=True)):
            if record.id in asked.ids or (concerned is not None and concerned(record)):
                found[record.id] = record
            elif record.provenance.folded_from:
                derived.append(record)
        gone = {*asked.ids, *found}
        while made := [record for record in derived if not gone.isdisjoint(record.provenance.folded_from)]:
            found.update((record.id, record) for record in made)
            gone.update(record.id for record in made)
            derived = [record for record in derived if record.id not in gone]
        return found

    async def _remove(self, tenant: str, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            await self._store.bury(tenant, batch, Burial.FORGOTTEN, self._now())
            await self._store.delete(tenant, batch)

    async def _searched_again(self, asked: Wanted, removed: Sequence[Record]) -> int:
        """How many searches found nothing. Raises `StoreUnavailable` if one found something."""
        gone = {record.id for record in removed}
        concerned = Concerns(asked.identifiers) if asked.identifiers else None
        everything = Scope(tenant=asked.tenant, history=True)
        tried = [record.text for record in removed[:MEANINGS_TRIED]]
        queries = list(dict.fromkeys([*asked.identifiers, *tried]))
        vectors = await self._embedder.embed(queries)
        answers = await asyncio.gather(
            *(
                self._store.search(everything, vector, query, SEARCH_DEPTH)
                for query, vector in zip(queries, vectors, strict=True)
            )
        )
        hits = {candidate.id for answer in answers for ranking in answer for candidate in ranking}
        standing = await self._store.get(asked.tenant, sorted(hits | gone))
        left = [record.id for record in standing.values() if record.id in gone or (concerned and concerned(record))]
        searches = 2 * len(queries) + 1
        if asked.identifiers:
            counted = await self._store.count(Scope(tenant=asked.tenant, subjects=asked.identifiers, history=True))
            left += [f"a record of the kind {kind}" for kind in counted]
            searches += 1
        if left:
            raise StoreUnavailable(f"{len(left)} of the records to be forgotten are still found: forget again")
        return searches


def _receipt(identity: str, now: datetime, removed: Sequence[Record], asked: Wanted, *, searches: int) -> Receipt:
    concerned = Concerns(asked.identifiers) if asked.identifiers else None
    derived = [r for r in removed if r.id not in asked.ids and not (concerned and concerned(r))]
    receipt = Receipt(
        id=identity,
        removed=Counter(kind_name(record.kind) for record in removed),
        derived=len(derived),
        searches=searches,
    )
    receipt.forgotten_at.FromDatetime(now)
    return receipt
