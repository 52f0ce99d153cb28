"""An executor that is killed at any point of a call: its successor finishes it, and the effect stands once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from copy import copy
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from factotum.sdk.spec import Effect
from factotum.sdk.testing import World
from factotum.sdk.tool import Connector, Tool
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger import Settlement
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from tests.support.composition import catalog_of, executor_of
from tests.support.worlds import INSTALLED, WORLDS, Arguments, Systems, sandbox_systems

LEASE_SECONDS = 0.4
EFFECTS = [name for name in WORLDS if INSTALLED[name].spec.effect is not Effect.NONE]


class Kill(StrEnum):
    BEFORE_THE_CALL = "before the call"
    BEFORE_THE_ANSWER = "after the effect and before the answer"
    BEFORE_THE_LEDGER = "after the answer and before the ledger"
    BEFORE_THE_ACTIVITY = "after the ledger and before the activity completes"


class DeadLedger(SqliteLedger):
    """Of a process that is killed before it settles."""

    async def settle(self, settlement: Settlement) -> bool:
        await asyncio.Event().wait()
        return False


def stopped(tool: Tool[Any, Any, Any], kill: Kill, there: asyncio.Event) -> Tool[Any, Any, Any]:
    """The tool, that gets no further than this; `there` is set when it has."""
    made, function = copy(tool), tool.function

    async def until_killed(arguments: Any, context: Any) -> Any:
        output = None if kill is Kill.BEFORE_THE_CALL else await function(arguments, context)
        there.set()
        if kill is not Kill.BEFORE_THE_LEDGER:
            await asyncio.Event().wait()
        return output

    made.function = until_killed
    return made


class Runner:
    """Executors over one tool in a world, one after the other, with one file of the ledger."""

    def __init__(self, tool: Tool[Any, Any, Any], world: World[Any], folder: Path) -> None:
        self.tool = tool
        self.world = world
        self.secrets = folder / "secrets"
        tenant = self.secrets / "acme"
        tenant.mkdir(parents=True)
        for name, value in world.secrets.items():
            (tenant / name).write_text(value)

    def executor(self, tool: Tool[Any, Any, Any], ledger: SqliteLedger) -> Executor:
        connector = Connector(tool.spec.system, settings=type(self.world.settings))
        connector.tools[tool.spec.name] = tool
        catalog = catalog_of(connector, settings={("acme", tool.spec.system): self.world.settings})
        return executor_of(catalog, ledger, secrets=self.secrets, lease_seconds=LEASE_SECONDS)

    async def call(self, executor: Executor, arguments: Arguments) -> Answer:
        return await executor.execute(
            tenant="acme",
            tool=self.tool.spec.name,
            arguments_json=json.dumps(arguments),
            key=f"run:/do/0/x:{json.dumps(arguments)}",
            origin=Origin(run_id="run", step="/do/0/x"),
        )

    async def killed(self, kill: Kill, arguments: Arguments, file: Path) -> Answer | None:
        """What the first executor answered, if it came to that."""
        if kill is Kill.BEFORE_THE_ACTIVITY:
            async with ledger(file) as opened:
                return await self.call(self.executor(self.tool, opened), arguments)
        there = asyncio.Event()
        async with ledger(file, DeadLedger) as opened:
            executor = self.executor(stopped(self.tool, kill, there), opened)
            running = asyncio.create_task(self.call(executor, arguments))
            async with asyncio.timeout(20):
                await there.wait()
            await asyncio.sleep(0.05)
            # The attempt goes on when its caller is gone; a kill ends that too.
            for task in (running, *executor._ledgered._attempts):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await running
        return None

    async def finished(self, arguments: Arguments, file: Path) -> Answer:
        """What its successors answer in the end."""
        async with ledger(file) as opened, asyncio.timeout(30):
            while True:
                answer = await self.call(self.executor(self.tool, opened), arguments)
                if answer.error is None or not answer.error.retryable:
                    return answer
                await asyncio.sleep(0.1)


@asynccontextmanager
async def ledger(file: Path, kind: type[SqliteLedger] = SqliteLedger) -> AsyncIterator[SqliteLedger]:
    async with kind(file, ambiguous_retry_seconds=1) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def systems(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Systems]:
    async with sandbox_systems(tmp_path_factory.mktemp("systems")) as made:
        yield made


async def made(world: World[Any], number: int) -> Arguments:
    given = world.arguments(number)
    return given if isinstance(given, Mapping) else await given


@pytest.mark.parametrize("name", EFFECTS)
async def test_the_effect_stands_once(systems: Systems, tmp_path: Path, name: str) -> None:
    world = WORLDS[name](systems)
    runner = Runner(INSTALLED[name], world, tmp_path)

    async def standing_after(number: int, kill: Kill) -> int:
        assert world.standing is not None
        arguments, file = await made(world, 1000 + number), tmp_path / f"ledger{number}"
        first = await runner.killed(kill, arguments, file)
        last = await runner.finished(arguments, file)
        assert last.error is None, f"killed {kill}: {last.error}"
        if first is not None:
            assert (last.replayed, last.output_json) == (True, first.output_json)
        return await world.standing(arguments)

    standing = await asyncio.gather(*(standing_after(number, kill) for number, kill in enumerate(Kill)))
    assert dict(zip(Kill, standing, strict=True)) == dict.fromkeys(Kill, 1)


async def test_without_the_ledger_it_would_not(systems: Systems, tmp_path: Path) -> None:
    """The proof that the test above sees what it is there for."""
    world = WORLDS["mail.send"](systems)
    assert world.standing is not None
    arguments = await made(world, 2000)
    runner = Runner(INSTALLED["mail.send"], world, tmp_path)
    await runner.killed(Kill.BEFORE_THE_ANSWER, arguments, tmp_path / "ledger")
    await runner.finished(arguments, tmp_path / "another")
    assert await world.standing(arguments) == 2
