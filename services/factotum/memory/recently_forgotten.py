"""What was forgotten a moment ago must not be kept because it was still on its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.concerning import Concerns

# Longer than events wait on Kafka where a memory is not far behind.
KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class _Forgotten:
    tenant: str
    concerns: Concerns
    moment: datetime


class RecentlyForgotten:
    """The identifiers forgotten by this process, for `KEPT_FOR`. They are in memory alone: to write them down would
    be to keep what was to be forgotten. After a restart, `forget` is to be asked for again if ingest was behind."""

    def __init__(self) -> None:
        self._forgotten: list[_Forgotten] = []

    def note(self, tenant: str, identifiers: tuple[str, ...], now: datetime) -> None:
        self._forgotten = [one for one in self._forgotten if now - one.moment < KEPT_FOR]
        self._forgotten.append(_Forgotten(tenant, Concerns(identifiers), now))

    def concerns(self, tenant: str, record: Record) -> bool:
        """Whether the record tells of somebody who was forgotten after what it tells had happened."""
        return any(one.concerns(record) for one in self._of(tenant, record))

    def _of(self, tenant: str, record: Record) -> Iterator[_Forgotten]:
        moment = record.created_at.ToDatetime(tzinfo=None)
        for one in self._forgotten:
            if one.tenant == tenant and moment <= one.moment.replace(tzinfo=None):
                yield one
