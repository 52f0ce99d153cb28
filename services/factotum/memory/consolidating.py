"""Carries out consolidations: what is folded is kept first, and only then what it was made from goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from factotum.api.memory.v1.memory_pb2 import Kept, Record
from factotum.memory.consolidation import LOOKED_AT, Fold, Plan, is_expired, matters, plan
from factotum.memory.keeping import Keeping
from factotum.memory.records import KINDS
from factotum.memory.store.port import Burial, Scope, Store

# Ids in one request to the store.
BATCH = 500

log = structlog.get_logger(__name__)


@dataclass
class Done:
    """What was done, or in a dry run would be."""

    folds: list[Fold] = field(default_factory=list)
    expired: int = 0


class Consolidating:
    """Raises `StoreUnavailable`; what was begun then goes on the next time, with the same result."""

    def __init__(self, store: Store, keeping: Keeping, now: Callable[[], datetime]) -> None:
        self._store = store
        self._keeping = keeping
        self._now = now

    async def consolidate(self, tenant: str, *, dry_run: bool = False) -> Done:
        """Of one tenant, or of all if it is empty."""
        done = Done()
        for one in [tenant] if tenant else await self._store.tenants():
            found = await self._plan(one)
            if not dry_run:
                await self._carry_out(one, found)
            done.folds.extend(found.folds)
            done.expired += len(found.expired)
        return done

    async def _plan(self, tenant: str) -> Plan:
        """Reads what the rules look at, and the other kinds only if something of them has expired."""
        now, everything = self._now(), Scope(tenant=tenant, history=True)
        kept: list[Record] = []
        expired: list[str] = []
        async for record in self._store.records(replace(everything, kinds=LOOKED_AT)):
            if is_expired(record, now):
                expired.append(record.id)
            elif matters(record, now):
                kept.append(record)
        others = replace(everything, kinds=tuple(kind for kind in KINDS.values() if kind not in LOOKED_AT))
        if await self._store.count(others) != await self._store.count(replace(others, alive_at=now)):
            async for record in self._store.records(others):
                if is_expired(record, now):
                    expired.append(record.id)
        return replace(plan(tenant, kept, now), expired=tuple(sorted(expired)))

    async def _carry_out(self, tenant: str, found: Plan) -> None:
        folds = await self._not_forgotten(tenant, found.folds)
        fates = await self._keeping.keep([(tenant, fold.into) for fold in folds])
        # What the write filter did not take tells nothing: what it was made from stays.
        kept = [fold for fold, (_, fate) in zip(folds, fates, strict=True) if fate.result != Kept.RESULT_REFUSED]
        folded = [identity for fold in kept for identity in fold.removed]
        await self._remove(tenant, [*found.left, *folded], bury=True)
        # Neither is buried: a habit may come back.
        await self._remove(tenant, [*found.withdrawn, *found.expired], bury=False)
        if folded or found.expired:
            log.info("consolidated", tenant=tenant, folded=len(folded), expired=len(found.expired))

    async def _not_forgotten(self, tenant: str, folds: Sequence[Fold]) -> list[Fold]:
        """A record may have been forgotten since the plan was made of it."""
        sources = sorted({identity for fold in folds for identity in fold.into.provenance.folded_from})
        graves = await self._store.buried(tenant, sources)
        gone = {identity for identity, why in graves.items() if why == Burial.FORGOTTEN}
        return [fold for fold in folds if gone.isdisjoint(fold.into.provenance.folded_from)]

    async def _remove(self, tenant: str, ids: Sequence[str], *, bury: bool) -> None:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            if bury:
                # Their events may be delivered again.
                await self._store.bury(tenant, batch, Burial.FOLDED, self._now())
            await self._store.delete(tenant, batch)
