"""Entries for stores of records, with vectors of few numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from factotum.api.memory.v1.memory_pb2 import KIND_DOCUMENT, Record
from factotum.memory.records import completed
from factotum.memory.store.port import Candidate, Entry, Scope, Store, Vector
from factotum.memory.store.spaces import Space

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SPACE = Space("minilm-l6-v2/fp32/test", 8)


def vector(seed: int = 0, dimension: int = SPACE.dimension) -> Vector:
    value = np.random.default_rng(seed).normal(size=dimension)
    return (value / np.linalg.norm(value)).astype(np.float32)


def entry(
    tenant: str, text: str, *, seed: int = 0, searched: str = "", superseded: datetime | None = None, **fields: Any
) -> Entry:
    record = completed(tenant, Record(**{"kind": KIND_DOCUMENT, "text": text, **fields}), NOW)
    if superseded is not None:
        record.superseded_at.FromDatetime(superseded)
    return Entry(tenant, record, searched or text, vector(seed))


def ids(candidates: list[Candidate]) -> list[str]:
    return [candidate.id for candidate in candidates]


async def texts(
    store: Store, scope: Scope, words: str = "hello", dimension: int = SPACE.dimension
) -> tuple[list[str], list[str]]:
    """The texts nearest in meaning, and those nearest to the words."""
    rankings = await store.search(scope, vector(0, dimension), words, 1000)
    found = await store.get(scope.tenant, [candidate.id for ranking in rankings for candidate in ranking])
    by_meaning, by_words = ([found[each.id].text for each in ranking] for ranking in rankings)
    return by_meaning, by_words


async def everywhere(store: Store, tenant: str, words: str = "hello", dimension: int = SPACE.dimension) -> set[str]:
    """The texts that any way of looking finds."""
    scope = Scope(tenant=tenant, history=True)
    by_meaning, by_words = await texts(store, scope, words, dimension)
    return {*by_meaning, *by_words, *[record.text async for record in store.records(scope)]}
