"""The gRPC face: translates, and nothing else."""

from __future__ import annotations

import grpc

from factotum.api.memory.v1 import memory_pb2, memory_pb2_grpc
from factotum.memory.embedders.port import Embedder
from factotum.memory.errors import InvalidRequest
from factotum.memory.given_out import GivenOut
from factotum.memory.grpc_documents import DocumentCalls
from factotum.memory.grpc_governance import Governance, GovernanceCalls
from factotum.memory.grpc_status import TRANSLATED, abort
from factotum.memory.keeping import Keeping
from factotum.memory.recall import Recalling
from factotum.memory.records import check_claims_no_folding, checked_tenant
from factotum.memory.settling import preparing
from factotum.memory.store.port import Store

SERVICE_NAME = memory_pb2.DESCRIPTOR.services_by_name["MemoryService"].full_name
MAX_RECORDS = 500


class MemoryServicer(DocumentCalls, GovernanceCalls):
    """INVALID_ARGUMENT for what breaks the contract, UNAVAILABLE while the store is away."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        keeping: Keeping,
        recalling: Recalling,
        given_out: GivenOut,
        governance: Governance,
    ) -> None:
        DocumentCalls.__init__(self, store, preparing(embedder.embed), governance.now)
        GovernanceCalls.__init__(self, store, governance)
        self._keeping = keeping
        self._recalling = recalling
        self._given_out = given_out

    def register(self, server: grpc.aio.Server) -> None:
        memory_pb2_grpc.add_MemoryServiceServicer_to_server(self, server)

    async def Remember(
        self,
        request: memory_pb2.RememberRequest,
        context: grpc.aio.ServicerContext[memory_pb2.RememberRequest, memory_pb2.RememberResponse],
    ) -> memory_pb2.RememberResponse:
        try:
            tenant = checked_tenant(request.tenant)
            if len(request.records) > MAX_RECORDS:
                raise InvalidRequest(f"records: {len(request.records)} are more than {MAX_RECORDS}")
            for index, record in enumerate(request.records):
                check_claims_no_folding(record, f"records[{index}]")
            kept = await self._keeping.keep([(tenant, record) for record in request.records])
        except TRANSLATED as error:
            await abort(context, error)
        return memory_pb2.RememberResponse(ids=[identity for identity, _ in kept], kept=[fate for _, fate in kept])

    async def Recall(
        self,
        request: memory_pb2.RecallRequest,
        context: grpc.aio.ServicerContext[memory_pb2.RecallRequest, memory_pb2.RecallResponse],
    ) -> memory_pb2.RecallResponse:
        try:
            recollections = await self._recalling.recall(request)
        except TRANSLATED as error:
            await abort(context, error)
        self._given_out.note(request.tenant, (each.record.text for each in recollections))
        return memory_pb2.RecallResponse(recollections=recollections)
