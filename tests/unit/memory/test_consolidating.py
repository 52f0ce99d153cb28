"""What a consolidation reads of a tenant, on the store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np

from factotum.api.memory.v1.memory_pb2 import KIND_DOCUMENT, KIND_OBSERVATION, KIND_THOUGHT, Kind, Record
from factotum.memory.consolidating import Consolidating
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Entry, Scope

NOW = datetime(2026, 11, 20, tzinfo=UTC)


class Store(InMemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    async def records(self, scope: Scope) -> AsyncIterator[Record]:
        async for record in super().records(scope):
            self.read.append(record.id)
            yield record

    async def keep(self, identity: str, kind: Kind.ValueType, *, expires: timedelta | None = None) -> None:
        record = Record(id=identity, kind=kind, text="mail.send. Failed.", attributes_json='{"tool":"mail.send"}')
        record.created_at.FromDatetime(NOW - timedelta(days=3))
        if expires is not None:
            record.expires_at.FromDatetime(NOW + expires)
        await self.upsert([Entry("acme", record, record.text, np.ones(1, np.float32))])


async def planned(store: Store) -> tuple[int, int]:
    """How many folds there would be, and how many records would be let go."""
    done = await Consolidating(store, cast(Any, None), lambda: NOW).consolidate("acme", dry_run=True)
    return len(done.folds), done.expired


async def test_documents_and_thoughts_are_read_only_if_one_of_them_has_expired() -> None:
    store = Store()
    for number in range(3):
        await store.keep(f"o{number}", KIND_OBSERVATION, expires=timedelta(days=1))
        await store.keep(f"d{number}", KIND_DOCUMENT)
    await store.keep("thought", KIND_THOUGHT, expires=timedelta(seconds=1))
    assert await planned(store) == (1, 0)
    assert sorted(store.read) == ["o0", "o1", "o2"]
    await store.keep("old", KIND_THOUGHT, expires=timedelta(0))
    await store.keep("o3", KIND_OBSERVATION, expires=timedelta(0))
    assert await planned(store) == (1, 2)
