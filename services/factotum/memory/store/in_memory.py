"""The double of a store: everything in this process, exactly computed, gone with it. For tests and small benches."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from factotum.api.memory.v1.memory_pb2 import Receipt, Record
from factotum.memory import records
from factotum.memory.marks import Mark
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
from factotum.memory.store.rows import candidate_of, microseconds, subject_form
from factotum.memory.store.words import K1, B, terms


@dataclass(frozen=True)
class _Kept:
    entry: Entry
    terms: Counter[str]
    length: int


class InMemoryStore:
    """`Store` without Milvus. Searches look at every record: meant for some ten thousand."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._holders: Counter[str] = Counter()  # in how many records a term is
        self._length = 0  # of all records, in terms
        self._buried: dict[tuple[str, str], Burial] = {}
        self._marks: list[Mark] = []
        self._receipts: dict[str, dict[str, Receipt]] = {}

    async def upsert(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            place = (records.checked_tenant(entry.tenant), entry.record.id)
            if place in self._buried:
                continue
            self._remove(place)
            # A caller's later change of its record is not one of ours.
            record = Record()
            record.CopyFrom(entry.record)
            found = terms(entry.searched)
            self._kept[place] = _Kept(
                Entry(entry.tenant, record, entry.searched, entry.vector.copy()), Counter(found), len(found)
            )
            self._holders.update(set(found))
            self._length += len(found)

    async def search(
        self, scope: Scope, vector: Vector | Awaitable[Vector], words: str, count: int
    ) -> tuple[list[Candidate], list[Candidate]]:
        looked_with = await vector if isinstance(vector, Awaitable) else vector
        found = list(self._within(scope))
        asked = set(terms(words))
        by_words = ((kept, score) for kept in found if (score := self._bm25(kept, asked)) > 0)
        return (
            _best(((kept, float(kept.entry.vector @ looked_with)) for kept in found), count),
            _best(by_words, count),
        )

    async def get(self, tenant: str, ids: Sequence[str]) -> dict[str, Record]:
        records.checked_tenant(tenant)
        return {
            identity: _copy(kept.entry.record)
            for identity in dict.fromkeys(ids)
            if (kept := self._kept.get((tenant, identity))) is not None
        }

    async def vectors(self, tenant: str, ids: Sequence[str]) -> dict[str, tuple[str, Vector]]:
        records.checked_tenant(tenant)
        found = ((identity, self._kept.get((tenant, identity))) for identity in ids)
        return {identity: (kept.entry.searched, kept.entry.vector.copy()) for identity, kept in found if kept}

    async def stretches(self, scope: Scope, stretches: Sequence[Stretch]) -> list[Candidate]:
        return [each.candidate for each in await self.standing(scope, [], stretches)]

    async def standing(self, scope: Scope, ids: Sequence[str], stretches: Sequence[Stretch]) -> list[Standing]:
        def wanted(record: Record) -> bool:
            return record.id in ids or any(
                record.place.sequence == stretch.sequence and stretch.first <= record.place.position <= stretch.last
                for stretch in stretches
                if stretch.sequence
            )

        found = (kept.entry.record for kept in self._within(scope))
        return [Standing(candidate_of(each, 0.0), partial(_copy, each)) for each in found if wanted(each)]

    async def records(self, scope: Scope) -> AsyncIterator[Record]:
        for kept in list(self._within(scope)):
            yield _copy(kept.entry.record)

    async def count(self, scope: Scope) -> dict[str, int]:
        return dict(Counter(records.kind_name(kept.entry.record.kind) for kept in self._within(scope)))

    async def tenants(self) -> list[str]:
        return sorted({tenant for tenant, _ in self._kept})

    async def delete(self, tenant: str, ids: Sequence[str]) -> int:
        records.checked_tenant(tenant)
        return sum(self._remove((tenant, identity)) for identity in dict.fromkeys(ids))

    async def scrub(self) -> None:
        """Nothing is left of what was deleted."""

    async def bury(self, tenant: str, ids: Sequence[str], why: Burial, now: datetime) -> None:
        records.checked_tenant(tenant)
        for identity in ids:
            if self._buried.get((tenant, identity)) is not Burial.FORGOTTEN:
                self._buried[tenant, identity] = why

    async def buried(self, tenant: str, ids: Sequence[str]) -> dict[str, Burial]:
        records.checked_tenant(tenant)
        return {identity: self._buried[tenant, identity] for identity in ids if (tenant, identity) in self._buried}

    @property
    def is_shared(self) -> bool:
        return False

    async def mark(self, mark: Mark) -> None:
        self._marks.append(mark)

    async def marks(self, since: datetime) -> list[Mark]:
        self._marks = [mark for mark in self._marks if mark.moment >= since]
        return list(self._marks)

    async def keep_receipt(self, tenant: str, receipt: Receipt) -> None:
        kept = Receipt()
        kept.CopyFrom(receipt)
        self._receipts.setdefault(records.checked_tenant(tenant), {})[receipt.id] = kept

    async def receipts(self, tenant: str) -> list[Receipt]:
        kept = self._receipts.get(records.checked_tenant(tenant), {}).values()
        return sorted(kept, key=lambda receipt: receipt.forgotten_at.ToMicroseconds(), reverse=True)

    async def shape(self) -> Shape:
        return Shape(0, "", settled=True)

    async def settle(self, prepare: Prepare, progress: Progress) -> None:
        """All is settled."""

    async def reindex(self, prepare: Prepare, progress: Progress) -> None:
        places = list(self._kept)
        progress(0, len(places))
        for done, place in enumerate(places, start=1):
            if (kept := self._kept.get(place)) is not None:
                ((searched, vector),) = await prepare([kept.entry.record])
                if self._kept.get(place) is kept:
                    await self.upsert([Entry(place[0], kept.entry.record, searched, vector)])
            progress(done, len(places))

    def _remove(self, place: tuple[str, str]) -> bool:
        kept = self._kept.pop(place, None)
        if kept is None:
            return False
        self._holders.subtract(set(kept.terms))
        self._length -= kept.length
        return True

    def _within(self, scope: Scope) -> Iterator[_Kept]:
        fits = _fits(scope)
        return (kept for kept in self._kept.values() if fits(kept.entry))

    def _bm25(self, kept: _Kept, asked: set[str]) -> float:
        """Milvus counts over all tenants, too: only the weights of terms depend on it, not what is found."""
        size = 1 - B + B * kept.length * len(self._kept) / max(self._length, 1)
        return sum(
            math.log(1 + (len(self._kept) - self._holders[term] + 0.5) / (self._holders[term] + 0.5))
            * kept.terms[term]
            * (K1 + 1)
            / (kept.terms[term] + K1 * size)
            for term in asked & kept.terms.keys()
        )


def _fits(scope: Scope) -> Callable[[Entry], bool]:
    """Raises `InvalidRequest` for what no tenant or run can be called."""
    records.checked_tenant(scope.tenant)
    records.checked_run_id(scope.run_id)
    subjects = set(map(subject_form, scope.subjects))

    def fits(entry: Entry) -> bool:
        record = entry.record
        happened = record.created_at.ToMicroseconds()
        return (
            entry.tenant == scope.tenant
            and (not scope.kinds or records.kind_name(record.kind) in scope.kinds)
            and (not subjects or not subjects.isdisjoint(map(subject_form, record.subjects)))
            and (not scope.run_id or record.run_id == scope.run_id)
            and (not scope.document or record.provenance.document == scope.document)
            and (not scope.contents or record.content_sha256 in scope.contents)
            and (not scope.contents or record.content_sha256 in scope.contents)
            and (scope.after is None or happened >= microseconds(scope.after))
            and (scope.before is None or happened < microseconds(scope.before))
            and (
                scope.alive_at is None
                or not record.HasField("expires_at")
                or record.expires_at.ToMicroseconds() > microseconds(scope.alive_at)
            )
            and (scope.history or not record.HasField("superseded_at"))
        )

    return fits


def _best(scored: Iterable[tuple[_Kept, float]], count: int) -> list[Candidate]:
    ordered = sorted(scored, key=lambda pair: -pair[1])
    return [candidate_of(kept.entry.record, score) for kept, score in ordered[:count]]


def _copy(record: Record) -> Record:
    result = Record()
    result.CopyFrom(record)
    return result
