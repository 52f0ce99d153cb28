"""The part of the gRPC face by which people govern what is kept: list, export, forget, consolidate, reindex."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.api.memory.v1 import memory_pb2_grpc
from factotum.memory.asked import scope_of
from factotum.memory.consolidating import EXPIRED, LEFT, WITHDRAWN, Consolidating
from factotum.memory.errors import InvalidRequest
from factotum.memory.forgetting import Forgetting, wanted
from factotum.memory.grpc_status import TRANSLATED, Context, abort
from factotum.memory.listing import DEFAULT_LIMIT, MAX_LIMIT, Position, newest
from factotum.memory.records import checked_tenant
from factotum.memory.refusals import Refusals
from factotum.memory.settling import warnings
from factotum.memory.store.port import Prepare, Scope, Store

# Foldings, records let go and problems that one answer tells; the counts tell of all.
MOST_TOLD = 200


# Seconds between two messages about the progress of a reindex.
TOLD_EVERY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    """What people govern the memory with.

    Args:
        prepare: what a reindex makes of records.
        embedder: the chosen one's fingerprint.
        former: that of the one whose vectors go on serving; empty: none.
        lag: messages on Kafka not yet kept; -1: not known.
    """

    forgetting: Forgetting
    consolidating: Consolidating
    refusals: Refusals
    prepare: Prepare
    embedder: str
    former: Callable[[], str] = lambda: ""
    lag: Callable[[], Awaitable[int]]
    now: Callable[[], datetime]


class GovernanceCalls(memory_pb2_grpc.MemoryServiceServicer):
    """A part of `MemoryServicer`."""

    def __init__(self, store: Store, governance: Governance) -> None:
        self._records = store
        self._governance = governance
        self._reindex: _Reindex | None = None

    async def ListRecords(self, request: pb.ListRecordsRequest, context: Context) -> pb.ListRecordsResponse:
        try:
            scope = scope_of(request)
            now = self._governance.now()
            if not request.history:
                scope = replace(scope, alive_at=now)
            limit = request.limit or DEFAULT_LIMIT
            if not 1 <= limit <= MAX_LIMIT:
                raise InvalidRequest(f"limit: must be between 0 and {MAX_LIMIT}")
            found, token = await newest(self._records, scope, limit, Position.read(request.page_token), now)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ListRecordsResponse(records=found, next_page_token=token)

    async def Export(self, request: pb.ExportRequest, context: Context) -> AsyncIterator[pb.ExportResponse]:
        try:
            async for record in self._governance.forgetting.export(wanted(request.tenant, request.subjects, ())):
                yield pb.ExportResponse(record=record)
        except TRANSLATED as error:
            await abort(context, error)

    async def Forget(self, request: pb.ForgetRequest, context: Context) -> pb.ForgetResponse:
        try:
            asked = wanted(request.tenant, request.subjects, request.ids)
            receipt = await self._governance.forgetting.forget(asked, dry_run=request.dry_run)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ForgetResponse(receipt=receipt, behind=await self._governance.lag())

    async def ListReceipts(self, request: pb.ListReceiptsRequest, context: Context) -> pb.ListReceiptsResponse:
        try:
            receipts = await self._records.receipts(checked_tenant(request.tenant))
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ListReceiptsResponse(receipts=receipts)

    async def Consolidate(self, request: pb.ConsolidateRequest, context: Context) -> pb.ConsolidateResponse:
        try:
            tenant = checked_tenant(request.tenant) if request.tenant else ""
            done = await self._governance.consolidating.consolidate(tenant, dry_run=request.dry_run)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ConsolidateResponse(
            foldings=[
                pb.Folding(tenant=fold.tenant, into=fold.into, rule=fold.rule) for fold in done.folds[:MOST_TOLD]
            ],
            folded=done.folded,
            expired=done.count(EXPIRED),
            withdrawn=done.count(WITHDRAWN),
            left=done.count(LEFT),
            let_go=[
                pb.LetGo(tenant=one.tenant, id=one.id, kind=one.kind, why=one.why)
                for one in sorted(done.let_go, key=lambda one: one.why == EXPIRED)[:MOST_TOLD]
            ],
            problems=[
                pb.ConsolidateProblem(tenant=one.tenant, id=one.record, reason=one.reason)
                for one in done.problems[:MOST_TOLD]
            ],
            dry_run=request.dry_run,
        )

    async def Reindex(self, request: pb.ReindexRequest, context: Context) -> AsyncIterator[pb.ReindexProgress]:
        """Goes on when whoever asked for it goes away; whoever asks meanwhile watches the one under way."""
        try:
            if self._reindex is None or self._reindex.ended.done():
                before = (await self._records.shape()).fingerprint
                self._reindex = _Reindex(self._records, self._governance, from_embedder=before)
            watched = self._reindex
            while not watched.ended.done():
                await asyncio.wait({watched.ended}, timeout=TOLD_EVERY)
                yield watched.progress
            await watched.ended
        except TRANSLATED as error:
            await abort(context, error)

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        try:
            counted = await self._records.count(Scope(tenant=checked_tenant(request.tenant), history=True))
            shape = await self._records.shape()
        except TRANSLATED as error:
            await abort(context, error)
        return pb.StatusResponse(
            records=counted,
            embedder=shape.fingerprint,
            schema_version=shape.schema_version,
            lag=await self._governance.lag(),
            refused=self._governance.refusals.of(request.tenant),
            settled=shape.settled,
            warnings=warnings(shape, self._governance.embedder, self._governance.former()),
        )


class _Reindex:
    """One under way, with how far it is."""

    def __init__(self, store: Store, governance: Governance, *, from_embedder: str) -> None:
        self.progress = pb.ReindexProgress(from_embedder=from_embedder, to_embedder=governance.embedder)
        self.ended = asyncio.ensure_future(store.reindex(governance.prepare, self._told))

    def _told(self, done: int, total: int) -> None:
        self.progress.done, self.progress.total = done, total
