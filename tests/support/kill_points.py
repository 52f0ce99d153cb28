"""A tool executor that is killed while it carries a call out, and those that are started in its place."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydantic import BaseModel

from factotum.runtime import clock
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Unavailable
from factotum.sdk.testing import World
from factotum.sdk.tool import Connector, Tool
from factotum.tool_executor.calls import Answer, Origin, SecretMarks
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger import Ledger
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from tests.support.composition import catalog_of, executor_of

LEASE_SECONDS = 5.0
# In which successors, one after the other, come to an answer that is not "not now".
SUCCESSORS_SECONDS = 30.0


class KillPoint(StrEnum):
    BEFORE_THE_CALL = "before the call"
    BEFORE_THE_ANSWER = "after the effect and before the answer"
    BEFORE_THE_LEDGER = "after the answer and before the ledger"
    AFTER_THE_LEDGER = "after the ledger and before the activity completes"


class Killed(BaseException):
    """The end of a process: nothing of the attempt is told or written any more, and nothing takes it for a cancel."""


@dataclass(frozen=True)
class House:
    """One tenant's connector with its settings, and the folder of its executor.

    `declared` are the names of secrets that the calling document declares.
    """

    connector: Connector[Any]
    settings: BaseModel
    folder: Path
    secrets: Mapping[str, str]
    declared: frozenset[str] = frozenset()

    def executor(self, ledger: Ledger, connector: Connector[Any], *, ahead: float = 0.0) -> Executor:
        folder = self.folder / "secrets" / "acme"
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in self.secrets.items():
            (folder / name).write_text(value)

        def now() -> datetime:
            return clock.now() + timedelta(seconds=ahead)

        catalog = catalog_of(connector, settings={("acme", connector.system): self.settings})
        return executor_of(catalog, ledger, secrets=self.folder / "secrets", lease_seconds=LEASE_SECONDS, now=now)


def house_of(tool: Tool[Any, Any, Any], world: World[Any], folder: Path) -> House:
    """With one tool, in the world in which the conformance suite tries it."""
    connector = Connector(tool.spec.system, settings=type(world.settings))
    connector.tools[tool.spec.name] = tool
    return House(connector, world.settings, folder, world.secrets)


async def called(
    executor: Executor, tool: str, arguments: Mapping[str, Any], declared: frozenset[str] = frozenset()
) -> Answer:
    """The same arguments are the same call."""
    given = json.dumps(arguments)
    return await executor.execute(
        tenant="acme",
        tool=tool,
        arguments_json=given,
        key=f"run:/do/0/x:{hashlib.sha256(given.encode()).hexdigest()}",
        origin=Origin(run_id="run", step="/x"),
        secrets=SecretMarks(nonce="", names=declared) if declared else None,
    )


async def killed_and_called_again(
    house: House, tool: str, arguments: Mapping[str, Any], point: KillPoint, *, without_the_ledger: bool = False
) -> Answer:
    """What the successors answer to the same call in the end.

    Args:
        without_the_ledger: they know nothing of what was begun before.
    """
    first = None
    async with _ledger(house.folder / "ledger.sqlite") as ledger:
        if point is KillPoint.AFTER_THE_LEDGER:
            first = await called(house.executor(ledger, house.connector), tool, arguments, house.declared)
            assert first.error is None, first.error
        else:
            dying = house.executor(ledger, _dying(house.connector, tool, point))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ledger, "settle", _dies)
                with pytest.raises(Killed):
                    await called(dying, tool, arguments, house.declared)
    async with _ledger(house.folder / ("another.sqlite" if without_the_ledger else "ledger.sqlite")) as ledger:
        async with asyncio.timeout(SUCCESSORS_SECONDS):
            while True:
                successor = house.executor(ledger, house.connector, ahead=LEASE_SECONDS + 1)
                last = await called(successor, tool, arguments, house.declared)
                if not isinstance(last.error, Unavailable):
                    break
                await asyncio.sleep(0.1)
    if first is not None and not without_the_ledger:
        assert (last.replayed, last.output_json) == (True, first.output_json)
    return last


def _ledger(file: Path) -> SqliteLedger:
    return SqliteLedger(file, ambiguous_retry_seconds=3.0)


def _dying(connector: Connector[Any], tool: str, point: KillPoint) -> Connector[Any]:
    original = connector.tools[tool]

    async def function(arguments: Any, context: ToolContext[Any]) -> Any:
        if point is KillPoint.BEFORE_THE_CALL:
            await _dies()
        output = await original.function(arguments, context)
        if point is KillPoint.BEFORE_THE_ANSWER:
            await _dies()
        return output

    made: Tool[Any, Any, Any] = copy(original)
    made.function = function
    dying = Connector(connector.system, settings=connector.settings)
    dying.tools = connector.tools | {tool: made}
    return dying


async def _dies(*_: Any) -> NoReturn:
    raise Killed
