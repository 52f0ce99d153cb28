"""Runs read back whole: over all their executions, with the runs nested in them and what they wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError

from factotum.procedures.parse import parse
from factotum.runs import reading
from factotum.runs.view import RunStatus, StepStatus
from factotum.sdk.errors import Conflict, Unavailable
from factotum.workflows.contract import ToolPin
from tests.support.run_bench import Bench, run_bench
from tests.support.temporal import temporal_server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[Client]:
    async with temporal_server() as environment:
        yield environment.client


@pytest_asyncio.fixture(loop_scope="session")
async def bench(server: Client) -> AsyncIterator[Bench]:
    async with run_bench(server) as made, made.worker():
        yield made


LOOP = "loop: {for: {each: n, in: '[range(20)]'}, do: [{one: {call: x.one, with: {n: '${ $n }'}}}]}"


async def test_a_run_of_many_executions_has_all_its_steps_and_is_one_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await bench.start(f"do:\n  - {LOOP}\n  - rest: {{wait: PT1H}}\n", history_events=40)
    handle = bench.client.get_workflow_handle(run_id)
    async with asyncio.timeout(20):
        # A worker that is busy makes some of the calls as activities that wait for a retry.
        while not (view := await bench.runs.get("acme", run_id)).waits_until or len(view.steps) < 20:
            await asyncio.sleep(0.1)
    assert view.status is RunStatus.RUNNING
    assert [(step.iteration, step.status) for step in view.steps] == [
        (str(number), StepStatus.COMPLETED) for number in range(20)
    ]
    assert view.steps_left_out == 0
    assert abs((view.waits_until[0] - view.started_at).total_seconds() - 3600) < 30
    monkeypatch.setattr(reading, "MOST_STEPS", 10)
    some = await bench.runs.get("acme", run_id)
    assert 10 <= len(some.steps) < 20
    assert some.steps == view.steps[some.steps_left_out :]
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    executions = [found async for found in bench.client.list_workflows(f"WorkflowId = '{run_id}'")]
    assert len(executions) > 2
    assert abs(view.started_at - min(found.start_time for found in executions)).total_seconds() < 0.5
    async with asyncio.timeout(20):
        while True:
            listed = [found for found in await bench.runs.list("acme", limit=500) if found.id == run_id]
            if [found.status for found in listed] == [RunStatus.CANCELLED]:
                break
            await asyncio.sleep(0.1)
    assert listed[0].started_at == view.started_at


async def test_a_run_that_moved_while_it_was_undoing_is_a_cancelled_one(bench: Bench) -> None:
    text = """
do:
  - loop:
      for: {each: n, in: '[range(8)]'}
      do: [{one: {call: x.one, metadata: {compensate: {call: x.undo}}}}]
  - rest: {wait: PT1H}
"""
    run_id = await bench.start(text, history_events=30)
    async with asyncio.timeout(20):
        while not (await bench.runs.get("acme", run_id)).waits_until:
            await asyncio.sleep(0.1)
    await bench.runs.cancel("acme", run_id)
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    # Temporal's list of a run's executions follows a moment later.
    async with asyncio.timeout(20):
        while len((view := await bench.runs.get("acme", run_id)).steps) < 16:
            await asyncio.sleep(0.1)
    assert (view.status, len(view.steps)) == (RunStatus.CANCELLED, 16)


CHILD = parse(
    "document: {dsl: '1.0.3', namespace: test, name: inner, version: '2.0.0'}\n"
    "do:\n"
    "  - rest: {if: '${ $context.slow }', wait: PT1H}\n"
    "  - add: {call: x.one}\n"
    "  - bad: {if: '${ $context.fail }', call: x.bad}\n"
).raw


async def test_a_nested_run_is_a_step_that_can_be_shown_by_itself(bench: Bench) -> None:
    def refused(_: object) -> Any:
        raise Conflict("no")

    bench.executor.answers["x.bad"] = refused
    inner = "{name: inner, namespace: test, version: '2.0.0'"
    text = f"""
do:
  - good: {{run: {{workflow: {inner}, input: {{fail: false}}}}}}, metadata: {{summary: Do it}}}}
  - alone: {{run: {{await: false, workflow: {inner}, input: {{slow: true}}}}}}}}
  - wrong: {{run: {{workflow: {inner}, input: {{fail: true}}}}}}}}
"""
    run_id = await bench.start(text, documents={"test/inner:2.0.0": CHILD})
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    good, alone, wrong = (await bench.runs.get("acme", run_id)).steps
    assert (good.pointer, good.tool, good.summary) == ("/do/0/good", "test/inner:2.0.0", "Do it")
    assert [step.status for step in (good, alone, wrong)] == [
        StepStatus.COMPLETED,
        StepStatus.COMPLETED,
        StepStatus.FAILED,
    ]
    assert "no" in wrong.last_error
    nested = await bench.runs.get("acme", good.run_id)
    assert (nested.procedure, nested.procedure_version, nested.status) == ("test/inner", "2.0.0", RunStatus.COMPLETED)
    assert [step.pointer for step in nested.steps] == ["/do/1/add"]
    assert (await bench.runs.get("acme", alone.run_id)).status is RunStatus.RUNNING


async def test_calls_that_the_worker_makes_by_itself_are_steps_too(bench: Bench) -> None:
    away = iter([Unavailable("away")])

    def flaky(_: object) -> Any:
        for error in away:
            raise error
        return {}

    def refused(_: object) -> Any:
        raise Conflict("no")

    bench.executor.answers |= {"x.flaky": flaky, "x.bad": refused}
    names = ("x.add", "x.flaky", "x.bad")
    tools = {name: ToolPin(version="1.0.0", timeout_seconds=5, effect="none") for name in names}
    text = """
do:
  - loop: {for: {each: n, in: '[1, 2]'}, do: [{add: {call: x.add, metadata: {summary: 'Add ${ $n }'}}}]}
  - flaky: {call: x.flaky}
  - bad: {call: x.bad}
"""
    run_id = await bench.start(text, tools=tools, here_seconds=2.0)
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    history = await bench.client.get_workflow_handle(run_id).fetch_history()
    assert sum(event.HasField("marker_recorded_event_attributes") for event in history.events) == 4
    found = (await bench.runs.get("acme", run_id)).steps
    assert [(step.pointer, step.iteration, step.tool, step.summary, step.status) for step in found] == [
        ("/do/0/loop/do/0/add", "0", "x.add", "Add 1", StepStatus.COMPLETED),
        ("/do/0/loop/do/0/add", "1", "x.add", "Add 2", StepStatus.COMPLETED),
        # Tried by the worker first, then by an activity of the usual kind: one step.
        ("/do/1/flaky", "", "x.flaky", "", StepStatus.COMPLETED),
        ("/do/2/bad", "", "x.bad", "", StepStatus.FAILED),
    ]
    assert found[-1].last_error == "no"
    assert all(step.started_at and step.ended_at for step in found)
