"""The parcels' API, served once for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.parcels import Parcels, parcels_api


@pytest_asyncio.fixture(scope="module")
async def served() -> AsyncIterator[Parcels]:
    async with parcels_api() as made:
        yield made


@pytest.fixture
def api(served: Parcels) -> Iterator[Parcels]:
    yield served
    served.parcels, served.keys, served.seen, served.answers, served.lost = {}, {}, [], [], 0
