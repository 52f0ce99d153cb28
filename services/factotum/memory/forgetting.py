"""Forgetting: every record of a person goes, and what was made from such records, and that is shown."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from factotum.api.memory.v1.memory_pb2 import Receipt, Record
from factotum.memory.concerning import Concerns, checked_identifiers
from factotum.memory.embedders.changing import with_vectors
from factotum.memory.embedders.port import Embedder
from factotum.memory.errors import InvalidRequest, StoreUnavailable
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.records import checked_id, checked_tenant, kind_name
from factotum.memory.store.port import Burial, Candidate, Scope, Store

MAX_IDS = 500
# Rounds of looking and removing before it is said that somebody keeps writing what is to be forgotten.
MOST_ROUNDS = 5
# Removed texts that are searched for again by their meaning: enough to find an index that was missed.
MEANINGS_TRIED = 20
SEARCH_DEPTH = 100
# Records in one request to the store.
BATCH = 500
# Records looked through between two lines of the log.
TOLD_EVERY = 20_000

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


@dataclass(slots=True)
class _Found:
    """What was found so far, without holding it: `ids` with those asked for, `texts` the first few; `unseen` records
    stood in the last look that it was not given."""

    ids: set[str]
    kinds: Counter[str] = field(default_factory=Counter)
    derived: int = 0
    texts: list[str] = field(default_factory=list)
    unseen: int = 0

    @property
    def count(self) -> int:
        return self.kinds.total()

    def add(self, batch: Sequence[Record], *, derived: bool) -> None:
        self.ids.update(record.id for record in batch)
        self.kinds.update(kind_name(record.kind) for record in batch)
        self.derived += len(batch) if derived else 0
        self.texts += [record.text for record in batch[: MEANINGS_TRIED - len(self.texts)]]


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

        A dry run counts what would go; its receipt has no id and is not kept. Neither is that of ids of which nothing
        is known; should a record come with one, it is refused.
        """
        found = _Found(set(asked.ids))
        if dry_run:
            async for batch, derived in self._doomed(asked, found):
                found.add(batch, derived=derived)
            _check_that_all_were_seen(found)
            return _receipt("", self._now(), found, searches=0)
        if asked.identifiers:
            await self._store.mark(self._recently.note(asked.tenant, asked.identifiers, self._now()))
        # Of an attempt that did not come to its end all records may be gone already.
        begun = bool(asked.identifiers or await self._store.buried(asked.tenant, asked.ids))
        # Ids that do not stand are buried as well: their event may still be on its way.
        await self._store.bury(asked.tenant, asked.ids, Burial.FORGOTTEN, self._now())
        await self._passed()
        for _ in range(MOST_ROUNDS):
            before = found.count
            async for batch, derived in self._doomed(asked, found):
                await self._remove(asked.tenant, [record.id for record in batch])
                found.add(batch, derived=derived)
            if found.count == before and not found.unseen:
                break
        else:
            _check_that_all_were_seen(found)
            raise StoreUnavailable("records came while they were being forgotten: forget again")
        await self._store.scrub()
        searches = await self._searched_again(asked, found)
        if not (begun or found.count):
            return _receipt("", self._now(), found, searches=searches)
        receipt = _receipt(self._new_id(), self._now(), found, searches=searches)
        await self._store.keep_receipt(asked.tenant, receipt)
        log.info("forgotten", tenant=asked.tenant, receipt=receipt.id, records=found.count, searches=searches)
        return receipt

    async def export(self, asked: Wanted) -> AsyncIterator[Record]:
        """Everything that `forget` would remove, as it is come across."""
        found = _Found(set(asked.ids))
        async for batch, derived in self._doomed(asked, found):
            found.add(batch, derived=derived)
            for record in batch:
                yield record
        _check_that_all_were_seen(found)

    async def _doomed(self, asked: Wanted, found: _Found) -> AsyncIterator[tuple[list[Record], bool]]:
        """The records that are asked for, and then, which is said beside each batch, those that were made from them or
        from what was found before, from what was made from these, ... At most `BATCH` at a time; no others are held."""
        concerned = Concerns(asked.identifiers) if asked.identifiers else None
        everything = Scope(tenant=asked.tenant, history=True)
        made, batch, looked = _Made(), list[Record](), 0
        stood = sum((await self._store.count(everything)).values())
        async for record in self._store.records(everything):
            if record.id in asked.ids or (concerned is not None and concerned(record)):
                batch.append(record)
            elif record.provenance.folded_from:
                made.note(record)
            if len(batch) == BATCH:
                yield batch, False
                batch = []
            looked += 1
            if looked % TOLD_EVERY == 0:
                log.info("looked through", tenant=asked.tenant, records=looked, found=found.count + len(batch))
        found.unseen = 0
        if looked < stood:
            # What was removed meanwhile need not have been come across; who removes looks again until there is nothing.
            stand = sum((await self._store.count(everything)).values())
            found.unseen = max(0, min(stood, stand) - looked)
        if batch:
            yield batch, False
        ids = made.of(found.ids)
        for start in range(0, len(ids), BATCH):
            standing = await self._store.get(asked.tenant, ids[start : start + BATCH])
            batch = [standing[identity] for identity in ids[start : start + BATCH] if identity in standing]
            if batch:
                yield batch, True

    async def _remove(self, tenant: str, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            await self._store.bury(tenant, batch, Burial.FORGOTTEN, self._now())
            await self._store.delete(tenant, batch)

    async def _searched_again(self, asked: Wanted, removed: _Found) -> int:
        """How many searches found nothing. Raises `StoreUnavailable` if one found something."""
        gone = removed.ids
        concerned = Concerns(asked.identifiers) if asked.identifiers else None
        everything = Scope(tenant=asked.tenant, history=True)
        queries = list(dict.fromkeys([*asked.identifiers, *removed.texts]))

        async def search() -> list[tuple[list[Candidate], list[Candidate]]]:
            vectors = await self._embedder.embed(queries)
            searches = zip(queries, vectors, strict=True)
            return await asyncio.gather(*(self._store.search(everything, v, q, SEARCH_DEPTH) for q, v in searches))

        answers = await with_vectors(search)
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


class _Made:
    """Records that were made from others: of each only what it takes to find it again."""

    def __init__(self) -> None:
        self._sources: dict[str, array[int]] = {}

    def note(self, record: Record) -> None:
        self._sources[record.id] = array("q", map(_digest, record.provenance.folded_from))

    def of(self, ids: Set[str]) -> list[str]:
        """Those that were made from these, from what was made from these, ... in this order."""
        gone = set(map(_digest, ids))
        found: list[str] = []
        while made := [identity for identity, sources in self._sources.items() if not gone.isdisjoint(sources)]:
            for identity in made:
                del self._sources[identity]
            found += made
            gone.update(map(_digest, made))
        return found


def _digest(identity: str) -> int:
    """64 bits: two of a million ids are the same in less than one of a million stores."""
    return int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), signed=True)


def _check_that_all_were_seen(found: _Found) -> None:
    """Raises `StoreUnavailable`."""
    if found.unseen:
        raise StoreUnavailable(f"the store counts {found.unseen} records more than it lists: ask again")


def _receipt(identity: str, now: datetime, found: _Found, *, searches: int) -> Receipt:
    receipt = Receipt(id=identity, removed=found.kinds, derived=found.derived, searches=searches)
    receipt.forgotten_at.FromDatetime(now)
    return receipt
