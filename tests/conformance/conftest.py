from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.scenario_stages import Stages, scenario_stages


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stages]:
    async with scenario_stages(tmp_path_factory.mktemp("conformance")) as made:
        yield made
