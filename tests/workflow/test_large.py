"""Runs that are larger than one history: bounded executions, bounded memory, nothing lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecution

from factotum.workflows.contract import ToolPin
from tests.support.run_bench import Bench, run_bench

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# From so many on the server warns of a history.
LONGEST_HISTORY = 10_240
MOST_GROWTH_BYTES = 150 * 2**20
PATIENCE_SECONDS = 1500


@pytest_asyncio.fixture(loop_scope="session")
async def bench(server: Client) -> AsyncIterator[Bench]:
    async with run_bench(server) as made, made.worker(sandboxed=False):
        yield made


class Counter:
    """Answers calls and remembers only how often each number came."""

    def __init__(self, bench: Bench, most: int) -> None:
        self.seen = bytearray(most)
        bench.executor.answers["x.add"] = self._answer
        self._requests = bench.executor.requests

    def _answer(self, arguments: dict[str, Any]) -> Any:
        self.seen[arguments["a"]] += 1
        self._requests.clear()
        return {"sum": arguments["a"]}

    @property
    def once_each(self) -> bool:
        return set(self.seen) == {1}


async def executions(bench: Bench, run_id: str) -> list[WorkflowExecution]:
    return [found async for found in bench.client.list_workflows(f"WorkflowId = '{run_id}'")]


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


@pytest.mark.parametrize("here_seconds", [0.0, 2.0], ids=["activities", "light calls"])
async def test_ten_thousand_rounds_with_a_call(bench: Bench, here_seconds: float) -> None:
    most = 10_000
    counter, before = Counter(bench, most), resident_bytes()
    run_id = await bench.start(
        f"""
do:
  - numbers: {{set: '${{ [range({most})] }}'}}
  - loop:
      for: {{each: n, in: .}}
      do: [{{add: {{call: x.add, with: {{a: '${{ $n }}'}}}}}}]
""",
        tools={"x.add": ToolPin(version="1", timeout_seconds=5, effect="none" if here_seconds else "write")},
        here_seconds=here_seconds,
    )
    assert await bench.result(run_id, PATIENCE_SECONDS) == {"sum": most - 1}
    assert counter.once_each
    found = await executions(bench, run_id)
    assert len(found) > 1
    assert max(execution.history_length for execution in found) < LONGEST_HISTORY
    assert resident_bytes() - before < MOST_GROWTH_BYTES


async def test_a_document_of_two_thousand_steps(bench: Bench) -> None:
    most = 2000
    counter, before = Counter(bench, most), resident_bytes()
    steps = "".join(f"  - s{index}: {{call: x.add, with: {{a: {index}}}}}\n" for index in range(most))
    run_id = await bench.start(f"do:\n{steps}")
    assert await bench.result(run_id, PATIENCE_SECONDS) == {"sum": most - 1}
    assert counter.once_each
    found = await executions(bench, run_id)
    assert len(found) > 1
    assert max(execution.history_length for execution in found) < LONGEST_HISTORY
    assert resident_bytes() - before < MOST_GROWTH_BYTES


async def test_a_long_loop_without_any_effect_does_not_hold_its_worker(bench: Bench) -> None:
    most = 20_000
    run_id = await bench.start(
        f"""
do:
  - numbers: {{set: '${{ [range({most})] }}'}}
  - loop:
      for: {{each: n, in: .}}
      do: [{{next: {{set: {{n: '${{ $n }}'}}}}}}]
"""
    )
    assert await bench.result(run_id, PATIENCE_SECONDS) == {"n": most - 1}
    history = await bench.client.get_workflow_handle(run_id).fetch_history()
    # A task that held its worker for two seconds would have failed, to be tried again.
    assert not [event for event in history.events if event.HasField("workflow_task_failed_event_attributes")]
