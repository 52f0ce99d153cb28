"""An executor that is killed at any point of a call: its successor finishes it, and the effect stands once."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.sdk.spec import Effect
from factotum.sdk.testing import World
from tests.support import postgres
from tests.support.executor_process import ExecutorProcess
from tests.support.kill_points import SUCCESSORS_SECONDS, House, KillPoint, house_of, killed_and_called_again
from tests.support.tampered.executor import VARIABLE, set_lever
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


# Tools of the process that dies: one of the fake connector, and one that sends a mail.
SHORT, REAL = "fake.linger", "mail.send"


@dataclass(frozen=True)
class Made:
    """A call of one tool, which stops at a point."""

    tool: str
    point: KillPoint
    arguments: Arguments

    @property
    def key(self) -> str:
        return f"{self.tool}:{self.point}"

    async def insisted(self, executor: ExecutorProcess) -> pb.Observation:
        """As an activity does: again until the error is not `unavailable`."""
        request = pb.ExecuteRequest(
            tenant="acme",
            tool=self.tool,
            arguments_json=json.dumps(self.arguments),
            idempotency_key=self.key,
            origin=pb.Origin(run_id="run", procedure="hr/test"),
        )
        async with asyncio.timeout(SUCCESSORS_SECONDS):
            while True:
                answer = (await executor.stub.Execute(request)).observation
                if answer.error.kind != pb.ERROR_KIND_UNAVAILABLE:
                    return answer
                await asyncio.sleep(0.1)


@pytest_asyncio.fixture
async def executor(systems: Systems, tmp_path: Path, kafka: str) -> AsyncIterator[ExecutorProcess]:
    """A process that a lever kills, with its ledger in PostgreSQL."""
    world = WORLDS[REAL](systems)
    (tmp_path / "secrets" / "acme").mkdir(parents=True)
    for name, value in world.secrets.items():
        (tmp_path / "secrets" / "acme" / name).write_text(value)
    settings = {"fake": {"world": str(tmp_path)}, "mail": world.settings.model_dump(mode="json")}
    with postgres.postgres() as cluster:
        environment = {
            "FACTOTUM_CONNECTORS": json.dumps(["tests.support.tools", "factotum.connectors.mail"]),
            "FACTOTUM_LEDGER_URL": cluster.url(),
            VARIABLE: str(tmp_path / "kill"),
        }
        process = ExecutorProcess(
            tmp_path,
            kafka,
            connector=("", settings),
            environment=environment,
            program="tests.support.tampered.executor",
        )
        try:
            await process.start()
            yield process
        finally:
            await process.close()


async def test_a_process_that_dies_with_its_ledger_in_postgresql(systems: Systems, executor: ExecutorProcess) -> None:
    """Of each tool a call has come to each point when it dies."""
    world = WORLDS[REAL](systems)
    calls: list[Made] = []
    for number, point in enumerate(KillPoint):
        calls += [Made(SHORT, point, {"name": "abcd"[number]}), Made(REAL, point, await made(world, 3000 + number))]

    async def standing(call: Made) -> int:
        if call.tool == REAL:
            assert world.standing is not None
            return await world.standing(call.arguments)
        return [effect["name"] for effect in executor.world.effects].count(call.arguments["name"])

    set_lever(executor.folder / "kill", {call.key: call.point for call in calls})
    for ended in await asyncio.gather(*(call.insisted(executor) for call in calls), return_exceptions=True):
        assert isinstance(ended, grpc.aio.AioRpcError), ended
    assert await executor.ended() == -signal.SIGKILL
    for call in calls:
        assert await standing(call) == (call.point is not KillPoint.BEFORE_THE_CALL), call
    await executor.start()
    answers = await asyncio.gather(*(call.insisted(executor) for call in calls))
    for call, answer in zip(calls, answers, strict=True):
        assert answer.output_json and not answer.error.message, (call, answer)
        assert answer.replayed is (call.point is KillPoint.AFTER_THE_LEDGER), call
        assert await standing(call) == 1, call
