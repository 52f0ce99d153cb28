"""Carries out consolidations: what is folded is kept first, and only then what it was made from goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby

import structlog

from factotum.api.memory.v1.memory_pb2 import Kept, Kind, Record
from factotum.memory.consolidation import LOOKED_AT, Plan, is_expired, matters, plan
from factotum.memory.errors import (
    EmbedderMismatch,
    EmbedderRefused,
    EmbedderUnavailable,
    InvalidRequest,
    StoreRefused,
    StoreUnavailable,
)
from factotum.memory.filtering import Refusal
from factotum.memory.keeping import Keeping
from factotum.memory.records import KINDS, completed
from factotum.memory.repeats import Fold
from factotum.memory.store.port import Burial, Scope, Store

# Ids in one request to the store.
BATCH = 500
# What is kept and then removed before the next: ingest has its turn in between, and a kill leaves little behind.
BATCH_OF_FOLDS = 64

EXPIRED, WITHDRAWN, LEFT = "expired", "withdrawn", "left"

_REFUSALS = (InvalidRequest, EmbedderRefused, StoreRefused)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """What was not done and why; the rest was. `record` would have been made; empty: it is the whole tenant."""

    tenant: str
    record: str
    reason: str


@dataclass(frozen=True, slots=True)
class LetGo:
    """A record that goes and is told by no other. `why`: one of `EXPIRED`, `WITHDRAWN`, `LEFT`, see `Plan`."""

    tenant: str
    id: str
    kind: Kind.ValueType
    why: str


@dataclass
class Done:
    """What was done, or in a dry run would be, as far as it can be seen before: only keeping shows what the write
    filter, the store or the embedder does not take."""

    folds: list[Fold] = field(default_factory=list)
    let_go: list[LetGo] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def folded(self) -> int:
        return sum(len(fold.removed) for fold in self.folds)

    def count(self, why: str) -> int:
        return sum(one.why == why for one in self.let_go)


class Consolidating:
    """What was begun and did not end goes on the next time, with the same result."""

    def __init__(self, store: Store, keeping: Keeping, now: Callable[[], datetime]) -> None:
        self._store = store
        self._keeping = keeping
        self._now = now

    async def consolidate(self, tenant: str, *, dry_run: bool = False) -> Done:
        """Of one tenant, or of all if it is empty. Nothing that one tenant has kept keeps it from the others.

        Raises `StoreUnavailable`, and `EmbedderUnavailable` once all that needs no embedder is done.
        """
        done = Done()
        away: Exception | None = None
        for one in [tenant] if tenant else await self._store.tenants():
            try:
                found, kinds = await self._plan(one)
                await self._let_go(one, found, kinds, done, dry_run)
                if away is None:
                    await self._fold(one, found.folds, done, dry_run)
            except (EmbedderUnavailable, EmbedderMismatch) as error:
                away = error
            except StoreUnavailable:
                raise
            except StoreRefused as error:
                done.problems.append(Problem(one, "", str(error)))
            except Exception as error:
                # Whatever one tenant's records bring about here, the others are to be done. What it says may be a
                # record's text: that is for the log of whoever runs the memory.
                log.exception("not consolidated", tenant=one)
                done.problems.append(Problem(one, "", type(error).__name__))
        if away is not None:
            raise away
        return done

    async def _plan(self, tenant: str) -> tuple[Plan, dict[str, Kind.ValueType]]:
        """Also the kind of each record in it. Reads what the rules look at, and the other kinds only if something of
        them has expired."""
        now, everything = self._now(), Scope(tenant=tenant, history=True)
        kept: list[Record] = []
        expired: dict[str, Kind.ValueType] = {}
        async for record in self._store.records(replace(everything, kinds=LOOKED_AT)):
            if is_expired(record, now):
                expired[record.id] = record.kind
            elif matters(tenant, record, now):
                kept.append(record)
        others = replace(everything, kinds=tuple(kind for kind in KINDS.values() if kind not in LOOKED_AT))
        if await self._store.count(others) != await self._store.count(replace(others, alive_at=now)):
            async for record in self._store.records(others):
                if is_expired(record, now):
                    expired[record.id] = record.kind
        kinds = {record.id: record.kind for record in kept} | expired
        return replace(plan(tenant, kept, now), expired=tuple(sorted(expired))), kinds

    async def _let_go(
        self, tenant: str, found: Plan, kinds: dict[str, Kind.ValueType], done: Done, dry_run: bool
    ) -> None:
        """First, so that whatever becomes of the folds does not keep what has expired."""
        if not dry_run:
            # Neither is buried: a habit may come back.
            await self._remove(tenant, [*found.expired, *found.withdrawn], bury=False)
            await self._remove(tenant, found.left, bury=True)
        for why, ids in ((EXPIRED, found.expired), (WITHDRAWN, found.withdrawn), (LEFT, found.left)):
            done.let_go += (LetGo(tenant, identity, kinds[identity], why) for identity in ids)
        if found.expired and not dry_run:
            log.info("let go", tenant=tenant, expired=len(found.expired))

    async def _fold(self, tenant: str, folds: Sequence[Fold], done: Done, dry_run: bool) -> None:
        for batch in _batches(folds):
            batch = self._valid(tenant, await self._not_forgotten(tenant, batch), done)
            if not dry_run:
                batch = await self._keep(tenant, batch, done)
                await self._remove(tenant, [identity for fold in batch for identity in fold.removed], bury=True)
                log.info("consolidated", tenant=tenant, folded=sum(len(fold.removed) for fold in batch))
            done.folds += batch

    def _valid(self, tenant: str, folds: Sequence[Fold], done: Done) -> list[Fold]:
        valid = []
        for fold in folds:
            try:
                completed(tenant, fold.into, self._now())
            except InvalidRequest as error:
                _tell(done, fold, str(error))
            else:
                valid.append(fold)
        return valid

    async def _keep(self, tenant: str, folds: Sequence[Fold], done: Done) -> list[Fold]:
        """Those that were kept. What was not taken tells nothing: what it was made from stays."""
        if not folds:
            return []
        try:
            fates = await self._keeping.keep([(tenant, fold.into) for fold in folds])
        except _REFUSALS as error:
            if len(folds) > 1:
                # The one that is refused is found, the others need not wait for it.
                return [kept for fold in folds for kept in await self._keep(tenant, [fold], done)]
            _tell(done, folds[0], str(error))
            return []
        kept = []
        for fold, (_, fate) in zip(folds, fates, strict=True):
            if fate.result != Kept.RESULT_REFUSED:
                kept.append(fold)
            elif fate.reason != Refusal.FORGOTTEN:
                _tell(done, fold, f"refused: {fate.reason}")
        return kept

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


def _batches(folds: Sequence[Fold]) -> Iterator[list[Fold]]:
    """Each of one rule: to keep preferences, ingest has to wait (see `Keeping`), to keep episodes it has not."""
    for _, of_rule in groupby(folds, lambda fold: fold.rule):
        some = list(of_rule)
        for start in range(0, len(some), BATCH_OF_FOLDS):
            yield some[start : start + BATCH_OF_FOLDS]


def _tell(done: Done, fold: Fold, reason: str) -> None:
    log.warning("not folded", tenant=fold.tenant, id=fold.into.id, rule=fold.rule, reason=reason)
    done.problems.append(Problem(fold.tenant, fold.into.id, reason))
