"""Which records a request is about. Pure."""

from __future__ import annotations

from factotum.api.memory.v1.memory_pb2 import ListRecordsRequest, RecallRequest
from factotum.memory.errors import InvalidRequest
from factotum.memory.records import checked_moment, checked_run_id, checked_subjects, checked_tenant, kind_name
from factotum.memory.store.port import Scope


def scope_of(request: RecallRequest | ListRecordsRequest) -> Scope:
    """Raises `InvalidRequest`, which names the field."""
    after, before = checked_moment(request, "after"), checked_moment(request, "before")
    if after is not None and before is not None and after >= before:
        raise InvalidRequest("after: must be earlier than before")
    return Scope(
        tenant=checked_tenant(request.tenant),
        kinds=tuple(dict.fromkeys(map(kind_name, request.kinds))),
        subjects=checked_subjects(request.subjects),
        run_id=checked_run_id(request.run_id),
        after=after,
        before=before,
        history=request.history,
    )
