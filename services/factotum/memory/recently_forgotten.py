"""What was forgotten a moment ago must not be kept because it was still on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.errors import StoreUnavailable
from factotum.memory.marks import Mark, concerned, mark_of

# Longer than events wait on Kafka where a memory is not far behind.
KEPT_FOR: Final = timedelta(hours=24)
# How often a store that no other process writes to is read for marks that have become too old.
READ_EVERY: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


class Marked(Protocol):
    """Of a store, what is asked here."""

    @property
    def is_shared(self) -> bool: ...

    async def marks(self, since: datetime) -> list[Mark]: ...


class RecentlyForgotten:
    """Who was forgotten within `KEPT_FOR`, by this process or another, before a restart or after it: as marks, which
    hold no identifier.

    Args:
        new_salt: random; one serves for what a process is told of a tenant within `KEPT_FOR`.
    """

    def __init__(self, new_salt: Callable[[], str]) -> None:
        self._new_salt = new_salt
        self._salts: dict[str, tuple[str, datetime]] = {}
        self._marks: dict[Mark, None] = {}
        self._read_at: datetime | None = None

    def note(self, tenant: str, identifiers: tuple[str, ...], now: datetime) -> Mark:
        """Knows them from now on; the store is to be given the mark."""
        salt, since = self._salts.get(tenant, ("", now))
        if not salt or now - since >= KEPT_FOR:
            salt, since = self._new_salt(), now
        self._salts = {name: known for name, known in self._salts.items() if now - known[1] < KEPT_FOR}
        self._salts[tenant] = salt, since
        mark = mark_of(tenant, identifiers, now, salt)
        self._marks[mark] = None
        return mark

    async def read(self, store: Marked, now: datetime) -> bool:
        """Learns what the store knows; says whether there was anything new. Raises `StoreUnavailable`."""
        if self._read_at is not None and not store.is_shared and now - self._read_at < READ_EVERY:
            return False
        since = now - KEPT_FOR
        found = await store.marks(since)
        is_new = not self._marks.keys() >= set(found)
        # One that was noted here may not be in the store yet.
        self._marks = {mark: None for mark in (*self._marks, *found) if mark.moment >= since}
        self._read_at = now
        return is_new

    async def keep_reading(self, store: Marked, now: Callable[[], datetime], every: timedelta = READ_EVERY) -> None:
        """For ever, so that marks go when their time is over, also where nothing is kept any more."""
        while True:
            try:
                await self.read(store, now())
            except StoreUnavailable as error:
                log.info("marks of who was forgotten are not read now", reason=str(error))
            await asyncio.sleep(every.total_seconds())

    def concerns(self, tenant: str, record: Record) -> bool:
        """Whether the record tells of somebody who was forgotten after what it tells had happened."""
        happened = record.created_at.ToDatetime(tzinfo=None)
        marks = [m for m in self._marks if m.tenant == tenant and happened <= m.moment.replace(tzinfo=None)]
        return concerned(marks, record)
