from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Store
from tests.support.stores import SPACE


@pytest.fixture(scope="module", params=["milvus", "in memory"])
async def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    """Both stores, one after the other; each test keeps to tenants of its own."""
    async with AsyncExitStack() as stack:
        if request.param == "milvus":
            path = tmp_path_factory.mktemp("milvus") / "memory.db"
            yield await stack.enter_async_context(MemoryStore(str(path), space=SPACE))
        else:
            yield InMemoryStore()
