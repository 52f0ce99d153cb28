"""How many records were not kept, by tenant and reason, since the process started."""

from __future__ import annotations

from collections import Counter

import structlog
from opentelemetry import metrics

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.filtering import Refusal
from factotum.memory.records import kind_name

log = structlog.get_logger(__name__)
refused_counter = metrics.get_meter(__name__).create_counter(
    "factotum.memory.refused", description="records that the write filter did not keep, by reason"
)


class Refusals:
    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def note(self, tenant: str, record: Record, reason: Refusal) -> None:
        self._counts.setdefault(tenant, Counter())[reason.value] += 1
        refused_counter.add(1, {"tenant": tenant, "reason": reason.value})
        # What it says is nobody's business: it was not kept.
        log.debug("not kept", tenant=tenant, reason=reason.value, kind=kind_name(record.kind), id=record.id)

    def of(self, tenant: str) -> dict[str, int]:
        """By reason; reasons without any are left out."""
        return dict(self._counts.get(tenant, {}))
