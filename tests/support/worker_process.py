"""A worker in a process of its own, to be killed: python -m tests.support.worker_process TEMPORAL TOOLS TASK_QUEUE."""

from __future__ import annotations

import asyncio
import sys

from factotum.activities.evaluation import Evaluations
from factotum.activities.events import RunEvents
from factotum.activities.outcome import Outcomes
from factotum.activities.tool_call import ToolCalls
from factotum.bounded.evaluator import BoundedEvaluator
from factotum.runs.connection import connect
from factotum.runtime.grpc_client import channel
from factotum.runtime.settings import TemporalSettings
from factotum.worker.pool import make_worker
from tests.support.worker_bench import KeptEvents


async def serve(temporal: str, tools: str, task_queue: str) -> None:
    events = KeptEvents()
    async with channel(tools) as executor, BoundedEvaluator() as evaluator:
        worker = make_worker(
            await connect(TemporalSettings(address=temporal)),
            task_queue=task_queue,
            tool_calls=ToolCalls(executor),
            outcomes=Outcomes(events),
            # No random document listens or emits.
            events=RunEvents(events, executor),
            evaluations=Evaluations(evaluator),
            max_concurrent_activities=50,
            sandboxed=False,
        )
        await worker.run()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
