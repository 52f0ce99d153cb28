"""Onboarding by Factotum beside the same onboarding as a hand-written Temporal workflow.

Both make the same calls, with the same connectors, to the same servers of one local stack, in one run, in turns. The
hand-written workflow has neither gateway nor Kafka, neither ledger nor memory, and its activities call the
connectors directly: what Factotum costs more is what these are. Latency is from sending the webhook
(or asking Temporal for the workflow) to the end of the run. Read the ratios, not the figures: those are of
one machine on one day.

    python -m benchmarks.onboarding [--people 100] [--kafka embedded|apache] [--write FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from benchmarks import page
from benchmarks.by_hand import TASK_QUEUE, Activities, Onboarding
from factotum.runs.identity import run_id
from factotum.runtime import clock
from tests.e2e.house import House
from tests.support.stack import Stack
from tests.support.world import World

DEADLINE_SECONDS = 900
WARM_UP = 5
PROCEDURE = "hr/employee-onboarding"
COLUMNS = ("", "at once", "runs/s", "p50 s", "p99 s", "ratio runs/s", "ratio p50", "ratio p99")

Onboard = Callable[[str], Awaitable[None]]


@dataclass
class Measured:
    """Seconds: of the whole, and of each run."""

    whole: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.whole

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def row(self, name: str, at_once: int) -> list[str]:
        return [name, str(at_once), f"{self.rate:.2f}", f"{self.quantile(0.5):.2f}", f"{self.quantile(0.99):.2f}"]


async def measure(into: Measured, people: list[str], onboard: Onboard, *, at_once: int) -> None:
    """Onboards everybody, at most so many at once."""
    gate = asyncio.Semaphore(at_once)

    async def one(employee: str) -> None:
        async with gate:
            began = time.perf_counter()
            await onboard(employee)
            into.latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*map(one, people))
    into.whole += time.perf_counter() - began


def by_hand(client: Client) -> Onboard:
    async def onboard(employee: str) -> None:
        await client.execute_workflow(Onboarding.run, employee, id=f"by-hand-{employee}", task_queue=TASK_QUEUE)

    return onboard


def by_factotum(client: Client, world: World) -> Onboard:
    async def onboard(employee: str) -> None:
        response = await world.deliver(world.created(employee))
        response.raise_for_status()
        (event,) = response.json()["events"]
        source = f"/hooks/{world.source}"
        handle = client.get_workflow_handle(
            run_id(tenant=world.tenant, source=source, event_id=event["id"], procedure=PROCEDURE)
        )
        while True:
            try:
                await handle.result()
                return
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(0.005)  # Kafka has it, the planner has not

    return onboard


async def compare(house: House, count: int) -> list[list[str]]:
    """The rows of the table: one at a time for latency, all at once for throughput."""
    state = house.state
    client = await Client.connect(state.temporal_address, data_converter=pydantic_data_converter)
    activities = Activities(state.directory / "config" / "connectors.yaml", state.secrets)
    rows: list[list[str]] = []
    async with (
        house.world() as world,
        Worker(client, task_queue=TASK_QUEUE, workflows=[Onboarding], activities=activities.all()),
    ):
        hand, full = by_hand(client), by_factotum(client, world)
        for onboard in (hand, full):
            await measure(Measured(), [house.employ()[0] for _ in range(WARM_UP)], onboard, at_once=1)
        for at_once in (1, count):
            measured = {"by hand": Measured(), "Factotum": Measured()}
            # Each goes first once, so that a server that slows down as it fills is nobody's advantage.
            for turn in (("by hand", "Factotum"), ("Factotum", "by hand")):
                for name in turn:
                    people = [house.employ()[0] for _ in range(count // 2)]
                    onboard = hand if name == "by hand" else full
                    await measure(measured[name], people, onboard, at_once=at_once)
            one, other = measured["by hand"], measured["Factotum"]
            rows.append([*one.row("by hand", at_once), "", "", ""])
            rows.append(
                [
                    *other.row("Factotum", at_once),
                    f"{one.rate / other.rate:.2f}",
                    f"{other.quantile(0.5) / one.quantile(0.5):.2f}",
                    f"{other.quantile(0.99) / one.quantile(0.99):.2f}",
                ]
            )
    return rows


def write(path: Path, rows: list[list[str]], *, count: int, kafka: str) -> None:
    """The last table, for readers of the documentation."""
    page.put(
        path,
        "Onboarding, beside a hand-written Temporal workflow",
        [
            "Both make the same ten calls to the same servers of one local stack, in one run, in turns. The",
            "hand-written workflow has no gateway, no Kafka, no ledger and no memory: what Factotum costs more is",
            "what these are. Latency is from the webhook to the end of the run. The figures are those of one",
            "machine, which also ran all the servers; read the ratios.",
            "",
            f"{count} people in each row; Kafka: {kafka}; {os.cpu_count()} cores; {clock.now():%Y-%m-%d}.",
            "",
            *page.table(COLUMNS, rows),
            "",
            "Ratio: by hand / Factotum for the rate, Factotum / by hand for the times; 1.00 would cost nothing.",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Onboarding by Factotum beside a hand-written Temporal workflow")
    parser.add_argument("--people", type=int, default=100, help="in each row")
    parser.add_argument("--kafka", choices=["embedded", "apache"], default="embedded")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the table as Markdown")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="factotum-bench-"))
    stack = Stack(directory / "stack")
    stack.up(kafka=arguments.kafka, env={})
    try:
        rows = asyncio.run(compare(House(stack, directory), arguments.people))
    finally:
        stack.down()
        shutil.rmtree(directory, ignore_errors=True)
    table = Table(*COLUMNS, title=f"Onboarding {arguments.people} people")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    if arguments.write:
        write(arguments.write, rows, count=arguments.people, kafka=arguments.kafka)


if __name__ == "__main__":
    main()
