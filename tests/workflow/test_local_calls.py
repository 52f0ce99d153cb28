"""Calls that the worker makes by itself, within a workflow task: as good as any other, and none is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError
from temporalio.worker import Replayer

from factotum.runs.view import RunStatus, StepStatus
from factotum.sdk.errors import Conflict, RateLimited, Unavailable
from factotum.worker.pool import WORKFLOWS, sandbox
from factotum.workflows.contract import ToolPin
from factotum.workflows.local import LARGEST_RESULT_BYTES, MOST_IN_A_ROW
from tests.support.run_bench import Bench

READ = {"x.read": ToolPin(version="1", timeout_seconds=5, effect="none")}
ONE = "do:\n  - look: {call: x.read, with: {n: 1}, metadata: {summary: Look}}\n"


async def read(bench: Bench, text: str = ONE, *, here_seconds: float = 2.0, **given: Any) -> str:
    return await bench.start(text, here_seconds=here_seconds, tools=READ, **given)


async def activities(bench: Bench, run_id: str) -> list[str]:
    """The types of the activities that the server was asked for; the history must replay as well."""
    history = await bench.client.get_workflow_handle(run_id).fetch_history()
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=sandbox(), data_converter=bench.client.data_converter)
    await replayer.replay_workflow(history)
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]


async def test_a_light_call_takes_no_way_to_the_server_and_is_a_step_like_any_other(bench: Bench) -> None:
    bench.executor.answers["x.read"] = lambda arguments: {"n": arguments["n"]}
    run_id = await read(bench)
    assert await bench.result(run_id) == {"n": 1}
    assert await activities(bench, run_id) == []
    (step,) = (await bench.runs.get("acme", run_id)).steps
    assert (step.pointer, step.tool, step.summary) == ("/do/0/look", "x.read", "Look")
    assert (step.status, step.attempts) == (StepStatus.COMPLETED, 1)
    assert [outcome.status for outcome in bench.outcomes.kept] == ["completed"]


@pytest.mark.parametrize(
    "pin",
    [
        ToolPin(version="1", timeout_seconds=5, effect="write"),
        ToolPin(version="1", timeout_seconds=60, effect="none"),
    ],
    ids=["it has an effect", "it may take long"],
)
async def test_any_other_call_is_an_activity(bench: Bench, pin: ToolPin) -> None:
    run_id = await bench.start(ONE, here_seconds=2.0, tools={"x.read": pin})
    await bench.result(run_id)
    assert await activities(bench, run_id) == ["x.read"]


async def test_a_run_that_asks_for_none_makes_none(bench: Bench) -> None:
    run_id = await read(bench, here_seconds=0)
    await bench.result(run_id)
    assert await activities(bench, run_id) == ["x.read", "publish-outcome"]


async def test_what_is_away_is_waited_for_in_temporal(bench: Bench) -> None:
    errors = iter([Unavailable("away"), RateLimited("later", retry_after=0.2), Unavailable("away")])

    def answer(_: object) -> Any:
        for error in errors:
            raise error
        return {"n": 1}

    bench.executor.answers["x.read"] = answer
    run_id = await read(bench)
    assert await bench.result(run_id) == {"n": 1}
    assert len(bench.executor.requests) == 4
    assert await activities(bench, run_id) == ["x.read"]
    (step,) = (await bench.runs.get("acme", run_id)).steps
    assert step.status is StepStatus.COMPLETED


async def test_a_slow_call_goes_on_as_an_activity(bench: Bench) -> None:
    asked = 0

    async def answer(_: object) -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.sleep(10)
        return {"n": asked}

    bench.executor.answers["x.read"] = answer
    run_id = await read(bench, here_seconds=0.3)
    assert await bench.result(run_id) == {"n": 2}
    assert await activities(bench, run_id) == ["x.read"]


async def test_a_large_answer_is_asked_for_again_by_an_activity(bench: Bench) -> None:
    text = "x" * LARGEST_RESULT_BYTES
    bench.executor.answers["x.read"] = lambda _: {"text": text}
    run_id = await read(bench)
    assert await bench.result(run_id) == {"text": text}
    assert await activities(bench, run_id) == ["x.read"]


async def test_an_error_that_is_not_to_be_retried_fails_the_run_in_the_same_words(bench: Bench) -> None:
    def answer(_: object) -> Any:
        raise Conflict("it is another's")

    bench.executor.answers["x.read"] = answer
    failures = []
    for here_seconds in (2.0, 0.0):
        run_id = await read(bench, here_seconds=here_seconds)
        with pytest.raises(WorkflowFailureError):
            await bench.result(run_id)
        failures.append((await bench.runs.get("acme", run_id)).failure)
    assert failures == ["/do/0/look: conflict: it is another's"] * 2
    assert len(bench.executor.requests) == 2


async def test_a_try_is_shown_the_error_at_once(bench: Bench) -> None:
    def answer(_: object) -> Any:
        raise Unavailable("away")

    bench.executor.answers["x.read"] = answer
    text = """
do:
  - attempt:
      try: [{get: {call: x.read}}]
      catch: {errors: {with: {status: 503}}, do: [{keep: {set: {error: '${ $error.detail }'}}}]}
"""
    run_id = await read(bench, text)
    assert await bench.result(run_id) == {"error": "away"}
    assert len(bench.executor.requests) == 1


async def test_a_run_is_cancelled_during_a_light_call(bench: Bench) -> None:
    began = asyncio.Event()

    async def answer(_: object) -> Any:
        began.set()
        await asyncio.sleep(1)
        return {}

    async def hangs(_: object) -> Any:
        await asyncio.Event().wait()

    bench.executor.answers["x.read"] = answer
    # The server tells of the cancelling with the next workflow task: what the first one goes on to may have begun
    # by then, and is cancelled in turn.
    bench.executor.answers["x.next"] = hangs
    run_id = await read(bench, f"{ONE}  - next: {{call: x.next}}\n  - never: {{call: x.never}}\n")
    await began.wait()
    await bench.client.get_workflow_handle(run_id).cancel()
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    assert (await bench.runs.get("acme", run_id)).status is RunStatus.CANCELLED
    assert "x.never" not in {tool for tool, _ in bench.executor.calls}


async def test_no_message_to_the_server_holds_too_many_answers(bench: Bench) -> None:
    bench.executor.answers["x.read"] = lambda _: {"text": "x" * (LARGEST_RESULT_BYTES - 100)}
    text = "do:\n  - l:\n      for: {each: n, in: '[range(70)]'}\n      do: [{look: {call: x.read}}]\n"
    run_id = await read(bench, text)
    await bench.result(run_id)
    assert await activities(bench, run_id) == ["x.read"], f"the call after {MOST_IN_A_ROW} others"
    assert len(bench.executor.requests) == 70


@pytest.mark.slow
async def test_nor_too_many_values_of_expressions(bench: Bench) -> None:
    # Twenty of a quarter of a megabyte each are more than a message to the server may be.
    text = """
do:
  - l:
      for: {each: n, in: '[range(20)]'}
      do: [{look: {set: '${ [range($workflow.input.n)] | map("12345678") | join("") }', output: {as: '{n: length}'}}}]
"""
    run_id = await read(bench, text, raw={"n": 30_000})
    assert await bench.result(run_id) == {"n": 240_000}


async def test_the_outcome_waits_for_kafka_as_an_activity(bench: Bench) -> None:
    bench.outcomes.away = True
    run_id = await read(bench)
    while not bench.outcomes.asked:
        await asyncio.sleep(0.05)
    bench.outcomes.away = False
    await bench.result(run_id)
    assert await activities(bench, run_id) == ["publish-outcome"]
    assert len(bench.outcomes.kept) == 1
