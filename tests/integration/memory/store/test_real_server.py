"""The same on a Milvus server or Zilliz Cloud: FACTOTUM_TEST_MILVUS_URI names it, FACTOTUM_TEST_MILVUS_TOKEN opens it.

Without it this is skipped, in CI as well: none can be had from PyPI. Its database should be one for this alone.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Burial, Scope, Store
from tests.integration.memory.store.test_generations import preparing, quiet
from tests.support.stores import NOW, SPACE, entry, everywhere

URI = os.environ.get("FACTOTUM_TEST_MILVUS_URI", "")

pytestmark = pytest.mark.skipif(not URI, reason="needs a Milvus server, named by FACTOTUM_TEST_MILVUS_URI")

# More than a page.
MANY = 1_200


@pytest.fixture(scope="module")
async def store() -> AsyncIterator[MemoryStore]:
    token = os.environ.get("FACTOTUM_TEST_MILVUS_TOKEN", "")
    async with MemoryStore(URI, token, space=SPACE, timeout_seconds=30.0) as it:
        yield it


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid4().hex[:12]}"


async def filled(store: Store, tenant: str) -> None:
    """Every record written three times, as replacing is what leaves old versions of rows behind."""
    for version in range(3):
        entries = [entry(tenant, f"hello {version} {n}", id=str(n), seed=n) for n in range(MANY)]
        await store.upsert(entries)


async def test_every_record_is_listed_once_and_in_its_last_version(store: MemoryStore, tenant: str) -> None:
    await filled(store, tenant)
    everything = Scope(tenant=tenant, history=True)
    listed = [record.text async for record in store.records(everything)]
    assert sorted(listed) == sorted(f"hello 2 {n}" for n in range(MANY))
    assert await store.count(everything) == {"document": MANY}
    assert tenant in await store.tenants()
    assert [record async for record in store.records(replace(everything, tenant="another"))] == []


async def test_what_is_deleted_is_found_by_nothing(store: MemoryStore, tenant: str) -> None:
    await store.upsert([entry(tenant, f"hello {n}", id=str(n), seed=n) for n in range(20)])
    gone = [str(n) for n in range(0, 20, 2)]
    await store.bury(tenant, gone, Burial.FORGOTTEN, NOW)
    assert await store.delete(tenant, gone) == 10
    assert await everywhere(store, tenant) == {f"hello {n}" for n in range(1, 20, 2)}
    await store.upsert([entry(tenant, "hello again", id="0")])
    assert await store.get(tenant, ["0"]) == {}


async def test_a_reindex_brings_everything_along(store: MemoryStore, tenant: str) -> None:
    await filled(store, tenant)
    prepare, prepared = preparing(SPACE)
    await store.reindex(prepare, quiet)
    assert len(prepared) >= MANY
    assert len([record async for record in store.records(Scope(tenant=tenant, history=True))]) == MANY
