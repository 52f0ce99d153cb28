"""The gRPC face: translates, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Never

import grpc

from factotum.api.memory.v1 import memory_pb2, memory_pb2_grpc
from factotum.memory.embedders.onnx import Embedder
from factotum.memory.errors import InvalidRequest, StoreUnavailable
from factotum.memory.grpc_documents import DocumentCalls
from factotum.memory.recall import fuse, understand
from factotum.memory.records import checked_tenant, completed
from factotum.memory.searched import searched
from factotum.memory.settling import preparing
from factotum.memory.store.port import Entry, Store

SERVICE_NAME = memory_pb2.DESCRIPTOR.services_by_name["MemoryService"].full_name
MAX_RECORDS = 500


class MemoryServicer(DocumentCalls):
    """INVALID_ARGUMENT for what breaks the contract, UNAVAILABLE while the store is away."""

    def __init__(self, store: Store, embedder: Embedder, now: Callable[[], datetime]) -> None:
        DocumentCalls.__init__(self, store, preparing(embedder.embed))
        self._store = store
        self._embedder = embedder
        self._now = now

    def register(self, server: grpc.aio.Server) -> None:
        memory_pb2_grpc.add_MemoryServiceServicer_to_server(self, server)

    async def Remember(
        self,
        request: memory_pb2.RememberRequest,
        context: grpc.aio.ServicerContext[memory_pb2.RememberRequest, memory_pb2.RememberResponse],
    ) -> memory_pb2.RememberResponse:
        try:
            records = self._records(request)
            texts = [searched(record) for record in records]
            vectors = await self._embedder.embed(texts)
            await self._store.upsert(
                [
                    Entry(request.tenant, record, text, vector)
                    for record, text, vector in zip(records, texts, vectors, strict=True)
                ]
            )
        except (InvalidRequest, StoreUnavailable) as error:
            await _abort(context, error)
        return memory_pb2.RememberResponse(ids=[record.id for record in records])

    async def Recall(
        self,
        request: memory_pb2.RecallRequest,
        context: grpc.aio.ServicerContext[memory_pb2.RecallRequest, memory_pb2.RecallResponse],
    ) -> memory_pb2.RecallResponse:
        try:
            query = understand(request)
            (vector,) = await self._embedder.embed([query.text])
            rankings = await self._store.search(query.scope, vector, query.text, query.candidates)
            ids = {candidate.id for ranking in rankings for candidate in ranking}
            found = await self._store.get(request.tenant, sorted(ids))
            by_meaning, by_words = ([found[each.id] for each in ranking if each.id in found] for ranking in rankings)
        except (InvalidRequest, StoreUnavailable) as error:
            await _abort(context, error)
        return memory_pb2.RecallResponse(recollections=fuse(by_meaning, by_words, query.limit))

    def _records(self, request: memory_pb2.RememberRequest) -> list[memory_pb2.Record]:
        checked_tenant(request.tenant)
        if len(request.records) > MAX_RECORDS:
            raise InvalidRequest(f"records: {len(request.records)} are more than {MAX_RECORDS}")
        now = self._now()
        records = []
        for index, record in enumerate(request.records):
            try:
                records.append(completed(request.tenant, record, now))
            except InvalidRequest as error:
                raise InvalidRequest(f"records[{index}].{error}") from error
        return records


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: InvalidRequest | StoreUnavailable) -> Never:
    code = grpc.StatusCode.INVALID_ARGUMENT if isinstance(error, InvalidRequest) else grpc.StatusCode.UNAVAILABLE
    await context.abort(code, str(error))
    raise AssertionError("abort raises")
