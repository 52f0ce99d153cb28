"""Runs on a real Temporal server under one's own control: which worker is there, when, and what tools answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.worker import Worker

from factotum.activities.evaluation import Evaluations
from factotum.activities.events import RunEvents
from factotum.activities.outcome import Outcomes
from factotum.activities.tool_call import ToolCalls
from factotum.bounded.evaluator import BoundedEvaluator
from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.procedures.parse import parse_raw
from factotum.runs.client import Runs
from factotum.runtime.grpc_client import channel
from factotum.worker.pool import make_worker
from factotum.workflows.contract import EVENT_SIGNAL, EventSignal, RunInput
from tests.support.executor import ScriptedExecutor, scripted_executor
from tests.support.scenario_events import Subscriptions, subscriptions

# Workers that are killed leave a task for ten seconds before another gets it.
PATIENCE_SECONDS = 600.0


class KeptEvents(EventProducer):
    """Keeps what is published, by topic: Kafka is the end-to-end tests' business."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1", client_id="test")
        self.kept: list[tuple[str, Event]] = []

    async def publish(self, topic: str, event: Event) -> None:
        self.kept.append((topic, event))

    async def published_before(self, topic: str, event: Event) -> bool:
        return (topic, event) in self.kept


@dataclass
class WorkerBench:
    """What runs of one task queue touch; workers are made, started and ended by the test.

    Attributes:
        events: what runs published, as (topic, event).
        heard: which runs hear of events.
    """

    client: Client
    task_queue: str
    executor: ScriptedExecutor
    heard: Subscriptions
    events: KeptEvents = field(default_factory=KeptEvents)
    _activities: dict[str, Any] = field(default_factory=dict)

    def worker(self, **options: Any) -> Worker:
        """Not yet running. `options` are those of `make_worker` besides the activities."""
        return make_worker(
            self.client, task_queue=self.task_queue, max_concurrent_activities=50, **self._activities, **options
        )

    async def start(self, run_id: str, run: RunInput) -> WorkflowHandle[Any, Any]:
        runs = Runs(self.client, task_queue=self.task_queue, ui_url="")
        assert await runs.start(run_id, run, parse_raw(run.document).document)
        return self.client.get_workflow_handle(run_id)

    async def tell(self, run_id: str, *types: str) -> None:
        """Brings events of these types to the run, once it hears of events; data is their number from 0."""
        events = [
            {"specversion": "1.0", "id": f"{run_id}-{name}-{index}", "source": "/test", "type": name, "data": index}
            for index, name in enumerate(types)
        ]
        for event in await self.heard.wanted(run_id, events):
            await self.client.get_workflow_handle(run_id).signal(EVENT_SIGNAL, EventSignal(event=event))

    async def histories(self, run_id: str) -> list[WorkflowHistory]:
        """One for each execution of the run, the first one first."""
        found: list[WorkflowHistory] = []
        execution = ""
        while True:
            handle = self.client.get_workflow_handle(run_id, run_id=execution or await self._first(run_id))
            history = await handle.fetch_history()
            found.append(history)
            last = history.events[-1]
            if not last.HasField("workflow_execution_continued_as_new_event_attributes"):
                return found
            execution = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id

    async def _first(self, run_id: str) -> str:
        description = await self.client.get_workflow_handle(run_id).describe()
        return description.raw_description.workflow_execution_info.first_run_id


async def result(handle: WorkflowHandle[Any, Any]) -> Any:
    """The run's output. Raises `WorkflowFailureError`; `TimeoutError` if it does not end."""
    return await asyncio.wait_for(handle.result(), PATIENCE_SECONDS)


@asynccontextmanager
async def worker_bench(client: Client, task_queue: str) -> AsyncIterator[WorkerBench]:
    """A bench without any worker."""
    async with scripted_executor() as executor, bench_on(client, task_queue, executor) as bench:
        yield bench


@asynccontextmanager
async def bench_on(client: Client, task_queue: str, executor: ScriptedExecutor) -> AsyncIterator[WorkerBench]:
    """A bench without any worker, with this executor."""
    async with (
        subscriptions() as heard,
        channel(executor.address) as tools,
        channel(heard.address) as planner,
        BoundedEvaluator() as evaluator,
    ):
        bench = WorkerBench(client, task_queue, executor, heard)
        bench._activities = {
            "tool_calls": ToolCalls(tools),
            "outcomes": Outcomes(bench.events),
            "events": RunEvents(bench.events, planner),
            "evaluations": Evaluations(evaluator),
        }
        yield bench
