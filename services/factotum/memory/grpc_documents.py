"""The part of the gRPC face that keeps documents: which stand, and what of one goes when a version of it has come."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.api.memory.v1 import memory_pb2_grpc
from factotum.memory.documents import Tally, is_mark, listed, settled, skipped
from factotum.memory.embedders.changing import with_vectors
from factotum.memory.errors import InvalidRequest
from factotum.memory.grpc_status import TRANSLATED, Context, abort
from factotum.memory.kinds import OF_DOCUMENTS
from factotum.memory.records import MAX_DOCUMENT_CHARACTERS, checked_tenant
from factotum.memory.store.port import Entry, Prepare, Scope, Store

# Ids that go in one request of the store.
MOST_AT_ONCE = 500

_VERSION = re.compile(r"(?:[0-9a-f]{64})?")
_REASONS = re.compile(r"(?:[a-z_]{1,32}(?:, ?[a-z_]{1,32}){0,9})?")


class DocumentCalls(memory_pb2_grpc.MemoryServiceServicer):
    """A part of `MemoryServicer`.

    What makes way for a new version is deleted and not buried: a document may become what it was before.
    """

    def __init__(self, store: Store, prepare: Prepare, now: Callable[[], datetime]) -> None:
        self._documents = store
        self._prepare = prepare
        self._now = now

    async def ListDocuments(self, request: pb.ListDocumentsRequest, context: Context) -> pb.ListDocumentsResponse:
        tallies: dict[str, Tally] = {}
        try:
            scope = Scope(tenant=checked_tenant(request.tenant), kinds=OF_DOCUMENTS, history=True)
            async for record in self._documents.records(scope):
                if record.provenance.document:
                    tallies.setdefault(record.provenance.document, Tally()).add(record)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ListDocumentsResponse(documents=listed(tallies))

    async def SettleDocument(self, request: pb.SettleDocumentRequest, context: Context) -> pb.SettleDocumentResponse:
        try:
            removed = await self._settle(_scope(request), request.version, request.skipped)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.SettleDocumentResponse(removed=removed)

    async def _settle(self, scope: Scope, version: str, why_skipped: str) -> int:
        stays, goes = Tally(), list[str]()
        last: pb.Record | None = None
        async for record in self._documents.records(scope):
            if version and record.provenance.document_version == version and not is_mark(record):
                stays.add(record)
                last = record
            else:
                goes.append(record.id)
        removed = 0
        for start in range(0, len(goes), MOST_AT_ONCE):
            removed += await self._documents.delete(scope.tenant, goes[start : start + MOST_AT_ONCE])
        if last is not None and not stays.whole():
            # Some of its chunks were refused: one that stands says that the others are not to come.
            await self._mark(scope.tenant, settled(last))
        elif last is None and version and why_skipped:
            await self._mark(scope.tenant, skipped(scope.tenant, scope.document, version, why_skipped, self._now()))
        return removed

    async def _mark(self, tenant: str, record: pb.Record) -> None:
        async def write() -> None:
            ((searched, vector),) = await self._prepare([record])
            await self._documents.upsert([Entry(tenant, record, searched, vector)])

        await with_vectors(write)


def _scope(request: pb.SettleDocumentRequest) -> Scope:
    if not request.document or len(request.document) > MAX_DOCUMENT_CHARACTERS:
        raise InvalidRequest(f"document: must be a URI of at most {MAX_DOCUMENT_CHARACTERS} characters")
    if not _VERSION.fullmatch(request.version):
        raise InvalidRequest("version: must be a sha256 in 64 hexadecimal digits, lower case; empty: all of it goes")
    if not _REASONS.fullmatch(request.skipped):
        raise InvalidRequest("skipped: must be reasons of `Kept`, such as `noise`, with commas between them")
    return Scope(tenant=checked_tenant(request.tenant), document=request.document, history=True)
