"""The tools that carry any call of a protocol, and any command: they pass the conformance suite, and what is killed
has its effect once, or a person is asked where the protocol has no question for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from factotum.sdk.testing import check_tool
from tests.support.kill_points import KillPoint, house_of, killed_and_called_again
from tests.support.machine import needs
from tests.support.peers import DOUBTFUL, WORLDS, Peers, peers
from tests.support.worlds import INSTALLED

# It is cut at many waits, each with several processes.
SLOW = ("process.container",)
UNASKED = ("grpc.call", "mcp.call", "a2a.call")


@pytest_asyncio.fixture(scope="module")
async def systems(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peers]:
    async with peers(tmp_path_factory.mktemp("peers")) as made:
        yield made


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in WORLDS]
)
async def test_conformance(systems: Peers, name: str) -> None:
    if name in ("process.shell", "process.script"):
        needs("bwrap", "prlimit", "setpriv", what="running a command in a sandbox")
    report = await check_tool(INSTALLED[name], WORLDS[name](systems))
    print(report)
    report.assert_passed()


@pytest.mark.parametrize("point", KillPoint)
@pytest.mark.parametrize("name", [*UNASKED, "asyncapi.publish", "process.container"])
async def test_a_killed_executor_acts_once_or_a_person_is_asked(
    systems: Peers, name: str, point: KillPoint, tmp_path: Path
) -> None:
    world = DOUBTFUL[name](systems)
    assert world.standing is not None
    arguments = world.arguments(1000 + list(KillPoint).index(point))
    answer = await killed_and_called_again(house_of(INSTALLED[name], world, tmp_path), name, arguments, point)
    asked = name in UNASKED and point is not KillPoint.AFTER_THE_LEDGER
    assert (answer.error and answer.error.kind) == ("ambiguous" if asked else None), answer.error
    assert await world.standing(arguments) == (0 if asked and point is KillPoint.BEFORE_THE_CALL else 1)


@pytest.mark.parametrize("name", ["mcp.call", "asyncapi.publish"])
async def test_without_the_ledger_it_acts_twice(systems: Peers, name: str, tmp_path: Path) -> None:
    """The proof that the test above sees what it is there for."""
    world, point = DOUBTFUL[name](systems), KillPoint.BEFORE_THE_ANSWER
    assert world.standing is not None
    arguments, house = world.arguments(2000), house_of(INSTALLED[name], world, tmp_path)
    answer = await killed_and_called_again(house, name, arguments, point, without_the_ledger=True)
    assert answer.error is None
    assert await world.standing(arguments) == 2
