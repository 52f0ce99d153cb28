"""Which records a request is about. Pure."""

from __future__ import annotations

from factotum.api.memory.v1.memory_pb2 import ListRecordsRequest, RecallRequest
from factotum.memory.records import checked_moment, checked_run_id, checked_subjects, checked_tenant, kind_name
from factotum.memory.store.port import Scope


def scope_of(request: RecallRequest | ListRecordsRequest) -> Scope:
    """Raises `InvalidRequest`, which names the field."""
    return Scope(
        tenant=checked_tenant(request.tenant),
        kinds=tuple(dict.fromkeys(map(kind_name, request.kinds))),
        subjects=checked_subjects(request.subjects),
        run_id=checked_run_id(request.run_id),
        after=checked_moment(request, "after"),
        before=checked_moment(request, "before"),
        history=request.history,
    )
