"""A tool executor that is killed while it carries a call out, and the one that is started in its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from factotum.runtime import clock
from factotum.sdk.context import ToolContext
from factotum.sdk.tool import Connector, Tool
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger import Ledger
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from tests.support.composition import catalog_of, executor_of

LEASE_SECONDS = 5.0
KEY = "run:/do/0/x:0"


class KillPoint(StrEnum):
    BEFORE_THE_CALL = "before the call"
    BEFORE_THE_ANSWER = "after the effect and before the answer"
    BEFORE_THE_LEDGER = "after the answer and before the ledger"
    AFTER_THE_LEDGER = "after the ledger and before the activity completes"


@dataclass(frozen=True)
class House:
    """One tenant's connector with its settings, and the folder of its executor."""

    connector: Connector[Any]
    settings: BaseModel
    folder: Path
    secrets: Mapping[str, str]

    def executor(self, ledger: Ledger, connector: Connector[Any], *, ahead: float = 0.0) -> Executor:
        folder = self.folder / "secrets" / "acme"
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in self.secrets.items():
            (folder / name).write_text(value)

        def now() -> datetime:
            return clock.now() + timedelta(seconds=ahead)

        catalog = catalog_of(connector, settings={("acme", connector.system): self.settings})
        return executor_of(catalog, ledger, secrets=self.folder / "secrets", lease_seconds=LEASE_SECONDS, now=now)


async def called(executor: Executor, tool: str, arguments: Mapping[str, Any]) -> Answer:
    return await executor.execute(
        tenant="acme", tool=tool, arguments_json=json.dumps(arguments), key=KEY, origin=Origin(run_id="run", step="/x")
    )


async def killed_and_called_again(house: House, tool: str, arguments: Mapping[str, Any], point: KillPoint) -> Answer:
    """What the successor answers to the same call."""
    async with SqliteLedger(house.folder / "ledger.sqlite", ambiguous_retry_seconds=3.0) as ledger:
        if point is KillPoint.AFTER_THE_LEDGER:
            first = await called(house.executor(ledger, house.connector), tool, arguments)
            assert first.error is None, first.error
        else:
            dying = _dying(house.connector, tool, point)
            executor = house.executor(ledger, dying)
            with pytest.MonkeyPatch.context() as patch:
                if point is KillPoint.BEFORE_THE_LEDGER:
                    patch.setattr(ledger, "settle", _dies)
                with pytest.raises(asyncio.CancelledError):
                    await called(executor, tool, arguments)
        return await called(house.executor(ledger, house.connector, ahead=LEASE_SECONDS + 1), tool, arguments)


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


async def _dies(*_: Any) -> None:
    """As the end of a process: nothing of the attempt runs any more."""
    raise asyncio.CancelledError
