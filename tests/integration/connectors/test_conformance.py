"""The built-in tools pass the conformance suite, on the real servers of the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from factotum.sdk.testing import check_tool
from tests.support.worlds import INSTALLED, WORLDS, Systems, sandbox_systems


@pytest_asyncio.fixture(scope="module")
async def systems(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Systems]:
    async with sandbox_systems(tmp_path_factory.mktemp("systems")) as made:
        yield made


@pytest.mark.parametrize("name", WORLDS)
async def test_a_built_in_tool(systems: Systems, name: str) -> None:
    tool, world = INSTALLED[name], WORLDS[name](systems)
    if tool.spec.compensation is not None:
        world = replace(world, undo=INSTALLED[tool.spec.compensation.call])
    report = await check_tool(tool, world)
    print(report)
    report.assert_passed()
