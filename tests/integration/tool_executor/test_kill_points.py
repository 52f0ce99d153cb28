"""An executor that is killed at any point of a call: its successor finishes it, and the effect stands once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from factotum.sdk.spec import Effect
from factotum.sdk.testing import World
from tests.support.kill_points import House, KillPoint, house_of, killed_and_called_again
from tests.support.worlds import INSTALLED, WORLDS, Arguments, Systems, sandbox_systems

EFFECTS = [name for name in WORLDS if INSTALLED[name].spec.effect is not Effect.NONE]


@pytest_asyncio.fixture(scope="module")
async def systems(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Systems]:
    async with sandbox_systems(tmp_path_factory.mktemp("systems")) as made:
        yield made


async def made(world: World[Any], number: int) -> Arguments:
    given = world.arguments(number)
    return given if isinstance(given, Mapping) else await given


def house(name: str, world: World[Any], folder: Path) -> House:
    folder.mkdir()
    return house_of(INSTALLED[name], world, folder)


@pytest.mark.parametrize("name", EFFECTS)
async def test_the_effect_stands_once(systems: Systems, tmp_path: Path, name: str) -> None:
    world = WORLDS[name](systems)

    async def standing_after(number: int, point: KillPoint) -> int:
        assert world.standing is not None
        arguments = await made(world, 1000 + number)
        answer = await killed_and_called_again(house(name, world, tmp_path / str(number)), name, arguments, point)
        assert answer.error is None, f"killed {point}: {answer.error}"
        return await world.standing(arguments)

    standing = await asyncio.gather(*(standing_after(number, point) for number, point in enumerate(KillPoint)))
    assert dict(zip(KillPoint, standing, strict=True)) == dict.fromkeys(KillPoint, 1)


async def test_without_the_ledger_a_mail_is_sent_twice(systems: Systems, tmp_path: Path) -> None:
    """The proof that the test above sees what it is there for."""
    world = WORLDS["mail.send"](systems)
    assert world.standing is not None
    arguments, it = await made(world, 2000), house("mail.send", world, tmp_path / "house")
    await killed_and_called_again(it, "mail.send", arguments, KillPoint.BEFORE_THE_ANSWER, without_the_ledger=True)
    assert await world.standing(arguments) == 2
