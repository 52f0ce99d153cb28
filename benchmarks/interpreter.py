"""Documents on the interpreter beside the same processes written by hand with the Temporal SDK.

Both make the same calls: the same activity, to the same tool executor in a process of its own, over one
Temporal server in memory, in turns. Nothing else is measured: outcomes go nowhere, tools answer at once.
The worker's CPU is that of this process, which also starts the runs. Workflow tasks are counted and timed
by the SDK; the time of one that made light calls is theirs as well.

    python -m benchmarks.interpreter [--runs 40] [--write FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, MetricBuffer, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from benchmarks import page
from benchmarks.interpreter_by_hand import TASK_QUEUE, Calls
from benchmarks.interpreter_workloads import MIXES, WORKLOADS, Workload
from factotum.activities.evaluation import Evaluations
from factotum.activities.events import RunEvents
from factotum.activities.outcome import Outcomes
from factotum.activities.tool_call import ToolCalls
from factotum.bounded.evaluator import BoundedEvaluator
from factotum.procedures.known import KnownDocuments
from factotum.procedures.parse import Source
from factotum.runs import attributes
from factotum.runs.client import Runs
from factotum.runtime import clock
from factotum.runtime.grpc_client import channel
from factotum.worker import pool
from factotum.workflows import run as run_module
from factotum.workflows.contract import Limits, RunInput, ToolPin
from tests.support.run_bench import KeptEvents
from tests.support.temporal import server_path

TASK_LATENCY = "temporal_workflow_task_execution_latency"
MOST_ACTIVITIES = 200
HERE_SECONDS = 2.0
COLUMNS = ("", "", "at once", "steps/s", "p50 ms", "CPU ms/run", "tasks/run", "ms/task", "ratio steps/s")
WITHOUT_COLUMNS = ("without", "", "runs/s", "CPU ms/run", "runs/s with it / without")

Start = Callable[[], Awaitable[Any]]


@dataclass
class Measured:
    """Seconds: of the whole, of each run, of CPU, of each workflow task."""

    whole: float = 0.0
    cpu: float = 0.0
    runs: list[float] = field(default_factory=list)
    tasks: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.runs) / self.whole

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu / len(self.runs)

    def row(self, title: str, side: str, at_once: int, steps: int) -> list[str]:
        median = sorted(self.runs)[len(self.runs) // 2]
        each = sum(self.tasks) / len(self.tasks) if self.tasks else 0.0
        return [
            *(title, side, str(at_once), f"{steps * self.rate:.0f}", f"{1000 * median:.0f}", f"{self.cpu_ms:.0f}"),
            *(f"{len(self.tasks) / len(self.runs):.1f}", f"{1000 * each:.1f}"),
        ]


class Rig:
    """One server and one executor for all that is measured."""

    def __init__(
        self, client: Client, connection: grpc.aio.Channel, evaluator: BoundedEvaluator, metrics: MetricBuffer
    ) -> None:
        self.client = client
        self._connection = connection
        self._tool_calls = ToolCalls(connection)
        self._evaluator = evaluator
        self._metrics = metrics
        self._count = 0

    def by_hand(self) -> Worker:
        return Worker(
            self.client,
            task_queue=TASK_QUEUE,
            workflows=[Calls],
            activities=[self._tool_calls.call],
            max_concurrent_activities=MOST_ACTIVITIES,
        )

    def factotum(self, task_queue: str, *, sandboxed: bool = False) -> Worker:
        events = KeptEvents()
        return pool.make_worker(
            self.client,
            task_queue=task_queue,
            tool_calls=self._tool_calls,
            outcomes=Outcomes(events),
            events=RunEvents(events, self._connection),
            evaluations=Evaluations(self._evaluator),
            max_concurrent_activities=MOST_ACTIVITIES,
            sandboxed=sandboxed,
        )

    def hand_written(self, workload: Workload) -> Start:
        async def start() -> Any:
            self._count += 1
            return await self.client.execute_workflow(
                Calls.run, workload.by_hand, id=f"by-hand-{self._count}", task_queue=TASK_QUEUE
            )

        return start

    def document(self, workload: Workload, task_queue: str, *, here_seconds: float = HERE_SECONDS) -> Start:
        runs, source = Runs(self.client, task_queue=task_queue, ui_url=""), workload.source
        given = self._given(source, workload, here_seconds)

        async def start() -> Any:
            self._count += 1
            run_id = f"acme.bench.{self._count:020x}"
            await runs.start(run_id, given, source.document)
            return await self.client.get_workflow_handle(run_id).result()

        return start

    def _given(self, source: Source, workload: Workload, here_seconds: float) -> RunInput:
        pin = ToolPin(version="1", timeout_seconds=5, effect=workload.effect)
        return RunInput(
            tenant="acme", document=source.raw, tools={"x.add": pin}, limits=Limits(here_seconds=here_seconds)
        )

    async def measure(self, into: Measured, start: Start, *, runs: int, at_once: int) -> None:
        gate = asyncio.Semaphore(at_once)

        async def one() -> None:
            async with gate:
                began = time.perf_counter()
                await start()
                into.runs.append(time.perf_counter() - began)

        self._metrics.retrieve_updates()
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one() for _ in range(runs)))
        into.whole += time.perf_counter() - began
        into.cpu += time.process_time() - cpu
        into.tasks += [
            float(update.value) / 1000
            for update in self._metrics.retrieve_updates()
            if update.metric.name == TASK_LATENCY
        ]


@contextmanager
def executor() -> Iterator[str]:
    """The address of a tool executor in its own process."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.executor"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    metrics = MetricBuffer(200_000)
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    runtime = Runtime(telemetry=TelemetryConfig(logging=quiet, metrics=metrics))
    with executor() as address:
        async with (
            await WorkflowEnvironment.start_local(
                dev_server_existing_path=server_path(),
                data_converter=pydantic_data_converter,
                search_attributes=list(attributes.ALL),
                dev_server_log_level="error",
                runtime=runtime,
            ) as environment,
            channel(address) as connection,
            BoundedEvaluator() as evaluator,
        ):
            yield Rig(environment.client, connection, evaluator, metrics)


async def beside(rig: Rig, count: int) -> list[list[str]]:
    """The rows of the first table: one run at a time for latency, several for throughput."""
    rows: list[list[str]] = []
    async with rig.by_hand(), rig.factotum("factotum"):
        for workload in WORKLOADS:
            sides = {"by hand": rig.hand_written(workload), "Factotum": rig.document(workload, "factotum")}
            for start in sides.values():
                await rig.measure(Measured(), start, runs=2, at_once=1)
            for at_once in (1, 10):
                measured = {name: Measured() for name in sides}
                runs = max(count // 4, 1) if at_once == 1 else max(count // 2, at_once)
                # Each goes first once, so that a server that slows down as it fills is nobody's advantage.
                for turn in ([*sides], [*reversed(sides)]):
                    for name in turn:
                        await rig.measure(measured[name], sides[name], runs=runs, at_once=at_once)
                hand, ours = measured["by hand"], measured["Factotum"]
                rows.append([*hand.row(workload.title, "by hand", at_once, workload.steps), ""])
                rows.append([*ours.row("", "Factotum", at_once, workload.steps), f"**{ours.rate / hand.rate:.2f}**"])
    return rows


async def without(rig: Rig, count: int) -> list[list[str]]:
    """The rows of the second table: the same, with one thing left out at a time."""
    rows: list[list[str]] = []
    for workload in MIXES:
        variants: dict[str, tuple[dict[str, Any], dict[str, Any], list[Any]]] = {
            "nothing": ({}, {}, []),
            "running bare": ({"sandboxed": True}, {}, []),
            "calls and outcomes in the workflow task": ({}, {"here_seconds": 0.0}, []),
            "beginning a fork's calls at once": ({}, {}, [mock.patch.object(pool, "MOST_BEGUN_AT_ONCE", 3)]),
            "known documents": ({}, {}, [mock.patch.object(run_module, "DOCUMENTS", KnownDocuments(0))]),
        }
        measured = {name: Measured() for name in variants}
        for _ in range(2):
            for index, (name, (worker, start, patches)) in enumerate(variants.items()):
                with ExitStack() as stack:
                    for patch in patches:
                        stack.enter_context(patch)
                    async with rig.factotum(f"without-{index}", **worker):
                        begun = rig.document(workload, f"without-{index}", **start)
                        await rig.measure(Measured(), begun, runs=2, at_once=2)
                        await rig.measure(measured[name], begun, runs=max(count // 2, 10), at_once=10)
        for name, found in measured.items():
            title = workload.title if name == "nothing" else ""
            gain = "" if name == "nothing" else f"{measured['nothing'].rate / found.rate:.2f}"
            rows.append([name, title, f"{found.rate:.2f}", f"{found.cpu_ms:.0f}", gain])
    return rows


async def both(count: int) -> tuple[list[list[str]], list[list[str]]]:
    async with rig() as made:
        return await beside(made, count), await without(made, count)


def write(path: Path, rows: list[list[str]], left_out: list[list[str]], *, count: int) -> None:
    page.put(
        path,
        "The interpreter, beside hand-written workflows",
        [
            "The same calls, by the same activity, of the same tool executor, over one Temporal server in memory,",
            "in turns. By hand is what one writes with the SDK: one activity a call, assignments in Python, the",
            "SDK's sandbox, no outcome told. Factotum reads the document, keeps the journal and tells the outcome.",
            "CPU is that of the worker's process. Tasks are workflow tasks; the time of one that makes light calls",
            "is theirs as well. A step is a task of the document. The figures are those of one machine, which also",
            "ran all the servers; read the ratios: above 1 Factotum is the faster one.",
            "",
            f"{count} runs in each row of several at once; {os.cpu_count()} cores; {clock.now():%Y-%m-%d}.",
            "",
            *page.table(COLUMNS, rows),
            "",
            "What each thing brings, by leaving it out (ten runs at once); decision 22 says what they are:",
            "",
            *page.table(WITHOUT_COLUMNS, left_out),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Documents beside the same processes written by hand")
    parser.add_argument("--runs", type=int, default=40, help="in each row of several at once")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the tables as Markdown")
    arguments = parser.parse_args()
    rows, left_out = asyncio.run(both(arguments.runs))
    for columns, found in ((COLUMNS, rows), (WITHOUT_COLUMNS, left_out)):
        shown = Table(*columns)
        for row in found:
            shown.add_row(*(cell.strip("*") for cell in row))
        Console(width=140).print(shown)
    if arguments.write:
        write(arguments.write, rows, left_out, count=arguments.runs)


if __name__ == "__main__":
    main()
