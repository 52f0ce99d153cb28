"""Documents as runs on a real Temporal server: our worker, our activities, a scripted tool executor over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from temporalio.client import Client
from temporalio.worker import Worker

from factotum.activities.evaluation import Evaluations
from factotum.activities.events import RunEvents
from factotum.activities.outcome import Outcomes
from factotum.activities.tool_call import ToolCalls
from factotum.bounded.evaluator import BoundedEvaluator
from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable
from factotum.events.producer import EventProducer
from factotum.events.topics import EVENTS, OUTCOMES
from factotum.events.types import OutcomeData
from factotum.procedures.parse import parse
from factotum.runs.client import Runs
from factotum.runs.decisions import Decisions
from factotum.runtime.grpc_client import channel
from factotum.worker.pool import make_worker
from factotum.workflows.contract import EventReference, Limits, RunInput, ToolPin
from tests.support.executor import ScriptedExecutor, scripted_executor

TASK_QUEUE = "test"
HEAD = "document: {dsl: '1.0.3', namespace: test, name: sample, version: '1.2.3', title: A sample}\n"


class KeptEvents(EventProducer):
    """Keeps what is published: Kafka is the end-to-end tests' business."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1", client_id="test")
        self.kept: list[OutcomeData] = []
        self.emitted: list[Event] = []
        self.asked = 0
        self.away = False

    async def publish(self, topic: str, event: Event) -> None:
        if topic == EVENTS:
            self.emitted.append(event)
            return
        assert topic == OUTCOMES
        self.asked += 1
        if self.away:
            raise BrokerUnavailable("away")
        self.kept.append(OutcomeData.model_validate(event.data))

    async def published_before(self, topic: str, event: Event) -> bool:
        return event in self.emitted


@dataclass
class Bench:
    client: Client
    executor: ScriptedExecutor
    outcomes: KeptEvents
    connection: grpc.aio.Channel
    evaluator: BoundedEvaluator
    runs: Runs
    decisions: Decisions
    count: int = 0

    def worker(self, *, sandboxed: bool = True) -> Worker:
        """One that is not yet running."""
        return make_worker(
            self.client,
            task_queue=TASK_QUEUE,
            tool_calls=ToolCalls(self.connection),
            outcomes=Outcomes(self.outcomes),
            events=RunEvents(self.outcomes, self.connection),
            evaluations=Evaluations(self.evaluator),
            max_concurrent_activities=50,
            sandboxed=sandboxed,
        )

    async def start(self, text: str, raw: Any = None, tenant: str = "acme", **given: Any) -> str:
        """Starts a document without its head; `given` are limits, or other fields of the run's input."""
        self.count += 1
        run_id = f"{tenant}.sample.{self.count:020x}"
        source = parse(HEAD + text)
        limits = {name: given.pop(name) for name in [*given] if name in Limits.model_fields}
        run = RunInput(
            tenant=tenant,
            document=source.raw,
            input=raw,
            event=EventReference(source="/t", id="1", type="t.happened"),
            limits=Limits(**limits),
            **{"tools": {"x.add": ToolPin(version="1.4.0", timeout_seconds=5)}, **given},
        )
        assert await self.runs.start(run_id, run, source.document)
        return run_id

    async def result(self, run_id: str, patience_seconds: float = 60) -> Any:
        return await asyncio.wait_for(self.client.get_workflow_handle(run_id).result(), patience_seconds)


@asynccontextmanager
async def run_bench(client: Client) -> AsyncIterator[Bench]:
    """A bench whose worker does not run yet. Benches may share a server: their runs' ids differ."""
    outcomes = KeptEvents()
    async with (
        scripted_executor() as executor,
        channel(executor.address) as connection,
        BoundedEvaluator() as evaluator,
    ):
        runs = Runs(client, task_queue=TASK_QUEUE, ui_url="http://ui")
        decisions = Decisions(client, runs)
        yield Bench(client, executor, outcomes, connection, evaluator, runs, decisions, count=id(outcomes) % 2**32)


def refuse(error: Exception) -> Any:
    """What a scripted tool answers with if it raises the error."""

    def answer(_: object) -> Any:
        raise error

    return answer
