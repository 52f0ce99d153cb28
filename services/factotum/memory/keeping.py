"""The one way in: a record is completed, filtered, given its place among the others, embedded and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from factotum.api.memory.v1.memory_pb2 import KIND_PREFERENCE, Kept, Record
from factotum.memory.embedders.changing import with_vectors
from factotum.memory.embedders.port import Embedder
from factotum.memory.entries import Embed, Once, entries
from factotum.memory.errors import InvalidRequest
from factotum.memory.filtering import Refusal, refusal, said
from factotum.memory.given_out import GivenOut
from factotum.memory.offered import Offered
from factotum.memory.overview import Overview, is_step, outranks, stands_so
from factotum.memory.preferences import aside_id, is_settled
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.records import completed, kind_name
from factotum.memory.refusals import Refusals
from factotum.memory.store.port import Burial, Entry, Scope, Store, Stretch

# Values of one kind in one filter of the store.
MOST_IN_A_FILTER = 100
LAST_POSITION = 2**62
OLDER = "older"


class _Line:
    """Of one tenant, the batches that look at each other."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.writes = 0


@dataclass(frozen=True, slots=True)
class _Ready:
    """What was decided, and what is to be written; `learnt`: as often as it was learnt who was forgotten, before."""

    records: list[Record]
    fates: list[Kept]
    entries: list[Entry]
    learnt: int


class Keeping:
    """Keeps records, for both faces.

    What stands already as it comes is neither embedded nor written again, so that a batch that comes twice changes
    nothing. Of one tenant, batches with preferences or steps of runs are written one after the other: each looks at
    those before it. No tenant waits for another's.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        *,
        given_out: GivenOut,
        forgotten: RecentlyForgotten,
        refusals: Refusals,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._given_out = given_out
        self._forgotten = forgotten
        self._refusals = refusals
        self._now = now
        # Of the tenants of which something is under way.
        self._lines: WeakValueDictionary[str, _Line] = WeakValueDictionary()
        self._learnt = 0
        self._under_way: set[asyncio.Future[None]] = set()

    async def passed(self) -> None:
        """Returns once what is being kept now is kept, or is not: later it cannot come to stand any more."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    async def keep(self, coming: Sequence[tuple[str, Record]]) -> list[tuple[str, Kept]]:
        """The id of each record, given with its tenant, and what became of it. What is kept can be found at once.

        Raises `InvalidRequest`, which names the record and the field, before anything is kept, and
        `StoreUnavailable`, when a part may have been kept: the same may then be given again.
        """
        ended = asyncio.get_running_loop().create_future()
        self._under_way.add(ended)
        try:
            return await self._keep(coming)
        finally:
            self._under_way.discard(ended)
            ended.set_result(None)

    async def keep_only(self, tenant: str, offered: Offered) -> int:
        """Lets go of what the service told once and offers no more; how many. They are not buried: they may come back.

        Raises `StoreUnavailable`.
        """
        scope = Scope(tenant=tenant, kinds=(offered.kind,), history=True)
        gone = [
            record.id
            async for record in self._store.records(scope)
            if record.origin == offered.origin and record.id not in offered.ids
        ]
        return await self._store.delete(tenant, gone) if gone else 0

    async def _keep(self, coming: Sequence[tuple[str, Record]]) -> list[tuple[str, Kept]]:
        ready: _Ready | None = None
        while ready is None:
            ready = await with_vectors(lambda: self._attempt(coming))
        for (tenant, _), record, fate in zip(coming, ready.records, ready.fates, strict=True):
            if fate.result == Kept.RESULT_REFUSED:
                self._refusals.note(tenant, record, Refusal(fate.reason))
        return [(record.id, fate) for record, fate in zip(ready.records, ready.fates, strict=True)]

    async def _attempt(self, coming: Sequence[tuple[str, Record]]) -> _Ready | None:
        """None, and nothing is written, if it is to be decided on again.

        To embed may take long and holds up nobody: it comes before the turn, and what was decided is decided again if
        another batch of the tenant was written meanwhile.
        """
        lines = self._lines_of(coming)
        embed = Once(self._embedder.embed)
        seen = [line.writes for line in lines]
        ready = await self._ready(coming, embed)
        if not ready.entries:
            return ready
        async with AsyncExitStack() as turns:
            for line in lines:
                await turns.enter_async_context(line.turn)
            if seen != [line.writes for line in lines]:
                ready = await self._ready(coming, embed)
            return ready if await self._write(ready, lines) else None

    def _lines_of(self, coming: Sequence[tuple[str, Record]]) -> list[_Line]:
        """In one order everywhere, so that no two wait for each other."""
        tenants = {tenant for tenant, record in coming if record.kind == KIND_PREFERENCE or is_step(record)}
        return [self._lines.setdefault(tenant, _Line()) for tenant in sorted(tenants)]

    async def _ready(self, coming: Sequence[tuple[str, Record]], embed: Embed) -> _Ready:
        now = self._now()
        await self._read_forgotten(now)
        learnt = self._learnt
        records = [
            # Of two preferences in one request, the later is the newer.
            _completed(tenant, record, now + timedelta(microseconds=index), index)
            for index, (tenant, record) in enumerate(coming)
        ]
        by_tenant: dict[str, list[int]] = {}
        for index, (tenant, _) in enumerate(coming):
            by_tenant.setdefault(tenant, []).append(index)
        fates: dict[int, Kept] = {}
        written: list[tuple[str, Record]] = []
        standing: dict[str, list[str]] = {}
        for tenant, indices in by_tenant.items():
            overview = await self._overview(tenant, [records[index] for index in indices], now)
            for index in indices:
                fates[index] = self._decide(tenant, coming[index][1], records[index], overview, now)
            written += ((tenant, record) for record in overview.written.values())
            standing[tenant] = [identity for identity in overview.written if identity in overview.stood]
        made = await entries(self._store, embed, written, standing)
        return _Ready(records, [fates[index] for index in range(len(records))], made, learnt)

    async def _overview(self, tenant: str, coming: Sequence[Record], now: datetime) -> Overview:
        aside = (aside_id(record) for record in coming if record.kind == KIND_PREFERENCE)
        ids = list(dict.fromkeys([*(record.id for record in coming), *aside]))
        buried, standing = await asyncio.gather(self._store.buried(tenant, ids), self._store.get(tenant, ids))
        found: dict[str, Record] = {}
        new = [record for record in coming if record.id not in standing and record.id not in buried]
        for scope in _scopes(tenant, new, [record for record in coming if is_settled(record)], now):
            async for record in self._store.records(scope):
                found[record.id] = record
        runs = {record.run_id for record in coming if is_step(record) and record.id not in standing}
        return Overview({**found, **standing}.values(), buried, await self._ends(tenant, runs))

    async def _ends(self, tenant: str, runs: Iterable[str]) -> dict[str, int]:
        ends: dict[str, int] = {}
        everywhere = [Stretch(run, 0, LAST_POSITION) for run in runs]
        if everywhere:
            for step in await self._store.stretches(Scope(tenant=tenant, history=True), everywhere):
                ends[step.sequence] = max(ends.get(step.sequence, 0), step.position + 1)
        return ends

    def _decide(self, tenant: str, given: Record, record: Record, overview: Overview, now: datetime) -> Kept:
        if (again := overview.said_again(given, record)) is not None:
            record.id = again.id
        identity, newer = record.id, overview.newer_word(record)
        if newer is not None:
            record.id = aside_id(record)
        fate = self._fate(tenant, given, record, newer, overview, now)
        if fate.result == Kept.RESULT_REFUSED:
            record.id = identity
        return fate

    def _fate(
        self, tenant: str, given: Record, record: Record, newer: Record | None, overview: Overview, now: datetime
    ) -> Kept:
        if (burial := overview.buried.get(record.id)) is not None:
            # What was folded is told by what it was folded into.
            return _refused(Refusal.FORGOTTEN if burial == Burial.FORGOTTEN else Refusal.KNOWN)
        there = overview.get(record.id)
        if there is not None and stands_so(given, record, there):
            if is_settled(there) and newer is None:
                # A process may have been killed before it had marked those in whose place it stands.
                overview.settle(there)
            return Kept(result=Kept.RESULT_UNCHANGED)
        if self._forgotten.concerns(tenant, record):
            return _refused(Refusal.FORGOTTEN)
        if reason := refusal(record, now=now, given_out=lambda text: self._given_out.holds(tenant, text)):
            return _refused(reason)
        under_its_id = newer or there
        if under_its_id is not None and outranks(under_its_id, record):
            is_same = said(record) is not None and said(record) == said(under_its_id)
            return _refused(Refusal.KNOWN if is_same else Refusal.OUTRANKED)
        # One that says when it was so may come between others: "tea" on Monday is not known by "tea" on Friday.
        if overview.knows(record) and not (is_settled(record) and given.HasField("created_at")):
            return _refused(Refusal.KNOWN)
        if record.kind == KIND_PREFERENCE:
            overview.make_way(record)
            return Kept(result=Kept.RESULT_KEPT, reason=OLDER if overview.settle(record, newer) else "")
        overview.keep(record)
        return Kept(result=Kept.RESULT_KEPT)

    async def _write(self, ready: _Ready, lines: Sequence[_Line]) -> bool:
        """Not if another process forgot somebody meanwhile whom they concern: to embed them may take a while."""
        await self._read_forgotten(self._now())
        if self._learnt != ready.learnt and any(
            self._forgotten.concerns(entry.tenant, entry.record) for entry in ready.entries
        ):
            return False
        try:
            await self._store.upsert(ready.entries)
        finally:
            # Afterwards: who looked while it was written has to look again.
            for line in lines:
                line.writes += 1
        return True

    async def _read_forgotten(self, now: datetime) -> None:
        # What one batch learns, those that were decided on before have to be told, too.
        self._learnt += await self._forgotten.read(self._store, now)


def _completed(tenant: str, record: Record, now: datetime, index: int) -> Record:
    try:
        return completed(tenant, record, now)
    except InvalidRequest as error:
        raise InvalidRequest(f"records[{index}].{error}") from error


def _scopes(tenant: str, new: Sequence[Record], preferences: Sequence[Record], now: datetime) -> Iterator[Scope]:
    """Where the records stand that say what new ones say, and those of the subjects of preferences."""
    contents = list(dict.fromkeys(record.content_sha256 for record in new if said(record) is not None))
    kinds = tuple(dict.fromkeys(kind_name(record.kind) for record in new if said(record) is not None))
    for start in range(0, len(contents), MOST_IN_A_FILTER):
        some = tuple(contents[start : start + MOST_IN_A_FILTER])
        yield Scope(tenant=tenant, kinds=kinds, contents=some, alive_at=now)
    if not preferences:
        return
    everybodys = any(not record.subjects for record in preferences)
    subjects = [] if everybodys else list(dict.fromkeys(s for record in preferences for s in record.subjects))
    for start in range(0, len(subjects) or 1, MOST_IN_A_FILTER):
        about = tuple(subjects[start : start + MOST_IN_A_FILTER])
        yield Scope(tenant=tenant, kinds=("preference",), subjects=about, history=True)


def _refused(reason: Refusal) -> Kept:
    return Kept(result=Kept.RESULT_REFUSED, reason=reason.value)
