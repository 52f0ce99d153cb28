"""Onboarding by Factotum beside the same onboarding as a hand-written Temporal workflow.

Both make the same calls, with the same connectors, to the same servers of one local stack, in one run. The hand-written
workflow has neither gateway nor Kafka, neither ledger nor memory, and its activities call the connectors directly: what
Factotum costs more is what these are. Latency is from the webhook (or the start of the workflow) to the
end of the run. Read the ratio, not the figures: they are those of one machine on one day.

    python -m benchmarks.onboarding [--people 40] [--kafka embedded|apache]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.by_hand import TASK_QUEUE, Activities, Onboarding
from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from tests.e2e.house import House
from tests.support.stack import Stack

DEADLINE_SECONDS = 600
WARM_UP = 3


@dataclass
class Measured:
    """Seconds: of the whole, and of each run."""

    whole: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.whole

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def measure(people: list[str], onboard: Callable[[str], Awaitable[None]], *, at_once: int) -> Measured:
    """Onboards everybody, at most so many at once."""
    gate = asyncio.Semaphore(at_once)
    latencies: list[float] = []

    async def one(employee: str) -> None:
        async with gate:
            began = time.perf_counter()
            await onboard(employee)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*map(one, people))
    return Measured(time.perf_counter() - began, latencies)


async def compare(house: House, count: int) -> None:
    """Prints the table: one at a time for latency, all at once for throughput."""
    state = house.state
    client = await Client.connect(state.temporal_address, data_converter=pydantic_data_converter)
    activities = Activities(state.directory / "config" / "connectors.yaml", state.secrets)
    table = Table(
        title=f"Onboarding {count} people",
        caption="ratio: by hand / Factotum for the rate, Factotum / by hand for times",
    )
    for column in ("", "at once", "runs/s", "p50 s", "p99 s", "ratio runs/s", "ratio p50", "ratio p99"):
        table.add_column(column, justify="left" if not column else "right")
    async with (
        house.world() as world,
        Worker(client, task_queue=TASK_QUEUE, workflows=[Onboarding], activities=activities.all()),
    ):

        async def by_hand(employee: str) -> None:
            run_id = f"by-hand-{employee}"
            await client.execute_workflow(Onboarding.run, employee, id=run_id, task_queue=TASK_QUEUE)

        async def by_factotum(employee: str) -> None:
            run_id = await house.run_of(world, employee, world.created(employee))
            handle = client.get_workflow_handle(run_id)
            while True:
                try:
                    await handle.result()
                    return
                except Exception as error:  # not there yet: Kafka has it, the planner has not
                    if "not found" not in str(error).lower():
                        raise
                    await asyncio.sleep(0.005)

        for at_once in (1, count):
            people = [[house.employ()[0] for _ in range(WARM_UP + count)] for _ in range(2)]
            for onboard, warm in ((by_hand, people[0]), (by_factotum, people[1])):
                await measure(warm[:WARM_UP], onboard, at_once=1)
            hand = await measure(people[0][WARM_UP:], by_hand, at_once=at_once)
            full = await measure(people[1][WARM_UP:], by_factotum, at_once=at_once)
            table.add_row(
                "by hand", str(at_once), f"{hand.rate:.2f}", f"{hand.quantile(0.5):.2f}", f"{hand.quantile(0.99):.2f}"
            )
            table.add_row(
                "Factotum",
                str(at_once),
                f"{full.rate:.2f}",
                f"{full.quantile(0.5):.2f}",
                f"{full.quantile(0.99):.2f}",
                f"{hand.rate / full.rate:.2f}",
                f"{full.quantile(0.5) / hand.quantile(0.5):.2f}",
                f"{full.quantile(0.99) / hand.quantile(0.99):.2f}",
            )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Onboarding by Factotum beside a hand-written Temporal workflow")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--kafka", choices=["embedded", "apache"], default="embedded")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="factotum-bench-"))
    stack = Stack(directory / "stack")
    stack.up(kafka=arguments.kafka, env={})
    try:
        asyncio.run(compare(House(stack, directory), arguments.people))
    finally:
        stack.down()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
