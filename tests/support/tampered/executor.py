"""`python -m tests.support.tampered.executor`: the tool executor with a lever that kills it.

The file $FACTOTUM_TEST_KILL says, as JSON, which call by its key stops at which point of its way. When all have come
there the process dies by SIGKILL, and the file is gone. Without the file it is the executor as it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factotum.tool_executor.ledger_postgres import PostgresLedger
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.main import main
from factotum.tool_executor.wrappers import invoked
from tests.support.kill_points import KillPoint

VARIABLE = "FACTOTUM_TEST_KILL"


class Lever:
    """Where calls come by on their way."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._come = 0

    async def passed(self, key: str, point: KillPoint) -> None:
        """Returns at once, unless it is where the call stops: then never."""
        if not self._file.exists():
            return
        stops = json.loads(self._file.read_text())
        if stops.get(key) != point:
            return
        self._come += 1
        if self._come == len(stops):
            self._file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.Event().wait()


def set_lever(file: Path, stops: Mapping[str, KillPoint]) -> None:
    file.write_text(json.dumps(stops))


def tamper(lever: Lever) -> None:
    act = invoked.act

    async def acting(prepared: Any) -> str:
        await lever.passed(prepared.call.key, KillPoint.BEFORE_THE_CALL)
        answer = await act(prepared)
        await lever.passed(prepared.call.key, KillPoint.BEFORE_THE_ANSWER)
        return answer

    invoked.act = acting
    for ledger in (SqliteLedger, PostgresLedger):
        ledger.settle = _settling(ledger.settle, lever)  # type: ignore[method-assign]


def _settling(settle: Any, lever: Lever) -> Any:
    async def settling(self: Any, settlement: Any) -> Any:
        await lever.passed(settlement.key, KillPoint.BEFORE_THE_LEDGER)
        done = await settle(self, settlement)
        await lever.passed(settlement.key, KillPoint.AFTER_THE_LEDGER)
        return done

    return settling


if __name__ == "__main__":
    tamper(Lever(Path(os.environ[VARIABLE])))
    main()
