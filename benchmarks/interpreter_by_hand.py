"""The processes of the interpreter's benchmark as one would write them by hand with the Temporal SDK."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow

TASK_QUEUE = "by-hand"


@workflow.defn(name="calls-by-hand")
class Calls:
    """So many calls, one after the other or side by side, after so many assignments."""

    def __init__(self) -> None:
        self._count = 0

    @workflow.run
    async def run(self, given: dict[str, Any]) -> dict[str, Any]:
        value: dict[str, Any] = {"n": 0}
        for _ in range(given["assignments"]):
            value = {"n": value["n"] + 1}
        if given["parallel"]:
            found = await asyncio.gather(*(self._add(a) for a in range(given["calls"])))
            return {"n": value["n"], "sum": found[-1]["sum"]}
        for a in range(given["calls"]):
            value = await self._add(a)
        return value

    async def _add(self, a: int) -> Any:
        self._count += 1
        run_id = workflow.info().workflow_id
        return await workflow.execute_activity(
            "x.add",
            {
                "tenant": "acme",
                "tool": "x.add",
                "arguments": {"a": a},
                "idempotency_key": f"{run_id}:{self._count}",
                "run_id": run_id,
                "step": str(self._count),
            },
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=10),
        )
