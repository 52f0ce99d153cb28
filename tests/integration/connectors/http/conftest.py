"""A pet store, which answers with what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.pet_store import PetStore, pet_store


@pytest_asyncio.fixture(scope="module")
async def store() -> AsyncIterator[PetStore]:
    async with pet_store() as serving:
        yield serving
