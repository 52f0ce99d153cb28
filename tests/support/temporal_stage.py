"""Scenarios on a real Temporal server: our worker, our activities, a tool executor over gRPC.

The order of a run's tasks is read off by replaying its history with an observed interpreter: Temporal checks
then, command by command, that the replay did what the run had done.
"""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from factotum.activities.evaluation import Evaluations
from factotum.activities.events import RunEvents
from factotum.activities.outcome import Outcomes
from factotum.activities.tool_call import ToolCalls
from factotum.bounded.evaluator import BoundedEvaluator
from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import EVENTS
from factotum.procedures.parse import parse_raw
from factotum.runs.client import Runs
from factotum.runtime.grpc_client import channel
from factotum.worker.pool import make_worker
from factotum.workflows import run as run_module
from factotum.workflows.contract import EVENT_SIGNAL, EventSignal
from factotum.workflows.interpreter import Interpreter
from tests.support.scenario import Json, Performance, Scenario, Task
from tests.support.scenario_events import Subscriptions, subscriptions
from tests.support.scenario_run import run_input
from tests.support.scenario_tools import TENANT, ScenarioTools

# A scenario that takes longer waits for what never comes.
PATIENCE_SECONDS = 60.0
TASK_QUEUE = "scenarios"


class KeptEvents(EventProducer):
    """Keeps what a run's activities publish, by the run: Kafka is the end-to-end tests' business."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1", client_id="test")
        self.emitted: dict[str, list[dict[str, Json]]] = defaultdict(list)

    async def publish(self, topic: str, event: Event) -> None:
        if topic == EVENTS:
            self.emitted[activity.info().workflow_id or ""].append(event.model_dump(mode="json", exclude_none=True))

    async def published_before(self, topic: str, event: Event) -> bool:
        return event.model_dump(mode="json", exclude_none=True) in self.emitted[activity.info().workflow_id or ""]


class TemporalStage:
    """`scenario.Stage`."""

    def __init__(self, client: Client, tools: ScenarioTools, events: KeptEvents, heard: Subscriptions) -> None:
        self._client = client
        self._tools = tools
        self._events = events
        self._heard = heard
        self._runs = Runs(client, task_queue=TASK_QUEUE, ui_url="")
        self._count = 0
        self._replaying = asyncio.Lock()
        self._threads = ThreadPoolExecutor(2)

    async def play(self, scenario: Scenario) -> Performance:
        self._count += 1
        run_id = f"{TENANT}.scenario.{self._count:020x}"
        run = run_input(scenario)
        script = self._tools.begin(run_id, scenario)
        assert await self._runs.start(run_id, run, parse_raw(run.document).document)
        handle = self._client.get_workflow_handle(run_id)
        if scenario.events:
            for event in await self._heard.wanted(run_id, scenario.events):
                await handle.signal(EVENT_SIGNAL, EventSignal(event=event))
        if scenario.cancel_after is not None:
            await asyncio.sleep(scenario.cancel_after)
            await handle.cancel()
        played = await _ended(handle)
        played.emitted = self._events.emitted[run_id]
        played.calls = script.calls
        played.tasks = await self._tasks(handle)
        return played

    async def _tasks(self, handle: WorkflowHandle[Any, Any]) -> list[Task]:
        found: list[Task] = []
        observed = functools.partial(Interpreter, observe=lambda seen: found.append(Task(seen.pointer, seen.phase)))
        replayer = Replayer(
            workflows=[run_module.Run],
            workflow_runner=UnsandboxedWorkflowRunner(),
            workflow_task_executor=self._threads,
            data_converter=self._client.data_converter,
        )
        history = await handle.fetch_history()
        async with self._replaying:
            with mock.patch.object(run_module, "Interpreter", observed):
                await replayer.replay_workflow(history)
        return found


async def _ended(handle: WorkflowHandle[Any, Any]) -> Performance:
    try:
        output = await asyncio.wait_for(handle.result(), PATIENCE_SECONDS)
    except WorkflowFailureError as error:
        if isinstance(error.cause, CancelledError):
            return Performance("cancelled")
        assert isinstance(error.cause, ApplicationError), error.cause
        return Performance("failed", error=error.cause.details[0])
    return Performance("completed", output=output)


@asynccontextmanager
async def temporal_stage(client: Client, tools: ScenarioTools) -> AsyncIterator[TemporalStage]:
    """A worker for scenarios, ended with the context."""
    events = KeptEvents()
    async with (
        subscriptions() as heard,
        channel(tools.address) as executor,
        channel(heard.address) as planner,
        BoundedEvaluator() as evaluator,
        make_worker(
            client,
            task_queue=TASK_QUEUE,
            tool_calls=ToolCalls(executor),
            outcomes=Outcomes(events),
            events=RunEvents(events, planner),
            evaluations=Evaluations(evaluator),
            max_concurrent_activities=50,
        ),
    ):
        yield TemporalStage(client, tools, events, heard)
