"""The part of the gRPC face that keeps documents: which stand, and what of one goes when a version of it has come."""

from __future__ import annotations

import re

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.api.memory.v1 import memory_pb2_grpc
from factotum.memory.documents import Tally, listed, settled
from factotum.memory.errors import InvalidRequest
from factotum.memory.grpc_status import TRANSLATED, Context, abort
from factotum.memory.kinds import OF_DOCUMENTS
from factotum.memory.records import MAX_DOCUMENT_CHARACTERS, checked_tenant
from factotum.memory.store.port import Entry, Prepare, Scope, Store

# Ids that go in one request of the store.
MOST_AT_ONCE = 500

_VERSION = re.compile(r"(?:[0-9a-f]{64})?")


class DocumentCalls(memory_pb2_grpc.MemoryServiceServicer):
    """A part of `MemoryServicer`.

    What makes way for a new version is deleted and not buried: a document may become what it was before.
    """

    def __init__(self, store: Store, prepare: Prepare) -> None:
        self._documents = store
        self._prepare = prepare

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
            removed = await self._settle(_scope(request), request.version)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.SettleDocumentResponse(removed=removed)

    async def _settle(self, scope: Scope, version: str) -> int:
        stays, goes = Tally(), list[str]()
        last: pb.Record | None = None
        async for record in self._documents.records(scope):
            if version and record.provenance.document_version == version:
                stays.add(record)
                last = record
            else:
                goes.append(record.id)
        removed = 0
        for start in range(0, len(goes), MOST_AT_ONCE):
            removed += await self._documents.delete(scope.tenant, goes[start : start + MOST_AT_ONCE])
        if last is not None and not stays.whole():
            # Some of its chunks were refused: one that stands says that the others are not to come.
            marked = settled(last)
            ((searched, vector),) = await self._prepare([marked])
            await self._documents.upsert([Entry(scope.tenant, marked, searched, vector)])
        return removed


def _scope(request: pb.SettleDocumentRequest) -> Scope:
    if not request.document or len(request.document) > MAX_DOCUMENT_CHARACTERS:
        raise InvalidRequest(f"document: must be a URI of at most {MAX_DOCUMENT_CHARACTERS} characters")
    if not _VERSION.fullmatch(request.version):
        raise InvalidRequest("version: must be a sha256 in 64 hexadecimal digits, lower case; empty: all of it goes")
    return Scope(tenant=checked_tenant(request.tenant), document=request.document, history=True)
