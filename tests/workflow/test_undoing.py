"""A run that fails, is cancelled or is in doubt is undone, on a real Temporal server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from factotum.activities.tool_call import HEARTBEAT_SECONDS
from factotum.procedures import expressions
from factotum.runs.view import RunStatus
from factotum.sdk.errors import Conflict, Failed, NotPermitted, Unavailable
from tests.support.run_bench import Bench, refuse


async def test_a_failed_run_is_undone_in_reverse_and_says_the_systems_words(bench: Bench) -> None:
    bench.executor.answers["x.make"] = lambda arguments: {"id": f"made-{arguments['n']}"}
    bench.executor.answers["x.bad"] = refuse(Conflict("userName is another person's"))
    undo = "metadata: {compensate: {call: x.unmake, with: {id: '${ .id }'}}}"
    run_id = await bench.start(
        f"""
do:
  - one: {{call: x.make, with: {{n: 1}}, {undo}}}
  - two: {{call: x.make, with: {{n: 2}}, {undo}}}
  - bad: {{call: x.bad}}
"""
    )
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    undone = [arguments["id"] for tool, arguments in bench.executor.calls if tool == "x.unmake"]
    assert undone == ["made-2", "made-1"]
    view = await bench.runs.get("acme", run_id)
    assert view.status is RunStatus.FAILED
    assert view.failure == "/do/2/bad: conflict: userName is another person's"
    assert [step.compensation for step in view.steps] == [False, False, False, True, True]
    (outcome,) = bench.outcomes.kept
    assert (outcome.status, outcome.compensated) == ("failed", ["/do/1/two", "/do/0/one"])


async def test_a_cancelled_run_lets_calls_end_and_undoes_them(bench: Bench) -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def slow(_: object) -> Any:
        began.set()
        await go.wait()
        return {"id": 1}

    bench.executor.answers["x.slow"] = slow
    run_id = await bench.start(
        """
do:
  - slow: {call: x.slow, metadata: {compensate: {call: x.undo, with: {id: '${ .id }'}}}}
  - never: {call: x.never}
"""
    )
    await began.wait()
    await bench.client.get_workflow_handle(run_id).cancel()
    async with asyncio.timeout(2 * HEARTBEAT_SECONDS + 2):
        while not bench.executor.cancels:  # the executor is asked to end the call, which ends all the same
            await asyncio.sleep(0.05)
    assert bench.executor.cancels == [("acme", f"{run_id}:/do/0/slow:")]
    go.set()
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    assert [tool for tool, _ in bench.executor.calls] == ["x.slow", "x.undo"]
    assert (await bench.runs.get("acme", run_id)).status is RunStatus.CANCELLED


UNDO = "metadata: {compensate: {call: x.undo, with: {id: '${ .id }'}}}"


async def test_an_effect_in_doubt_is_settled_and_undone(bench: Bench) -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def answer_is_lost(_: object) -> Any:
        began.set()
        await go.wait()
        raise Unavailable("the answer is lost")

    async def refused(_: object) -> Any:
        await began.wait()
        asyncio.get_running_loop().call_later(1.0, go.set)
        raise Conflict("no")

    bench.executor.answers |= {"x.lost": answer_is_lost, "x.bad": refused}
    asked = iter([Unavailable("still away")])

    def settled(_: object) -> Any:
        for error in asked:
            raise error
        return {"id": 7}

    bench.executor.settled["x.lost"] = settled
    run_id = await bench.start(
        f"do:\n  - f: {{fork: {{branches: [{{a: {{call: x.lost, {UNDO}}}}}, {{b: {{call: x.bad}}}}]}}}}\n"
    )
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    assert [arguments for tool, arguments in bench.executor.calls if tool == "x.undo"] == [{"id": 7}]
    keys = {request.idempotency_key for request in bench.executor.requests if request.tool == "x.lost"}
    assert len(keys) == 1
    assert (await bench.runs.get("acme", run_id)).failure == "/do/0/f/fork/branches/1/b: conflict: no"


async def test_an_effect_that_did_not_happen_is_not_undone(bench: Bench) -> None:
    bench.executor.answers["x.slow"] = refuse(Failed("who knows"))
    run_id = await bench.start(f"do:\n  - a: {{call: x.slow, {UNDO}}}\n")
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    assert [request.settle for request in bench.executor.requests] == [False, True]


async def test_what_cannot_be_settled_is_told(bench: Bench) -> None:
    bench.executor.answers["x.slow"] = refuse(Failed("who knows"))
    bench.executor.settled["x.slow"] = refuse(NotPermitted("the key is gone"))
    run_id = await bench.start(f"do:\n  - a: {{call: x.slow, {UNDO}}}\n")
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    failure = (await bench.runs.get("acme", run_id)).failure
    assert failure == "/do/0/a: failed: who knows; may stand: /do/0/a: not permitted: the key is gone"
    assert bench.outcomes.kept[0].failure == failure


async def test_a_cancel_does_not_stop_the_undoing(bench: Bench) -> None:
    away = asyncio.Event()

    def undo(arguments: dict[str, Any]) -> Any:
        if arguments["id"] == 2 and not away.is_set():
            raise Unavailable("away")
        return {}

    bench.executor.answers |= {"x.undo": undo, "x.bad": refuse(Conflict("no"))}
    bench.executor.answers["x.make"] = lambda arguments: {"id": arguments["n"]}
    run_id = await bench.start(
        f"""
do:
  - one: {{call: x.make, with: {{n: 1}}, {UNDO}}}
  - two: {{call: x.make, with: {{n: 2}}, {UNDO}}}
  - bad: {{call: x.bad}}
"""
    )
    while len([call for call in bench.executor.calls if call == ("x.undo", {"id": 2})]) < 2:
        await asyncio.sleep(0.05)
    await bench.client.get_workflow_handle(run_id).cancel()
    await asyncio.sleep(1)
    away.set()
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    assert ("x.undo", {"id": 1}) in bench.executor.calls
    (outcome,) = bench.outcomes.kept
    assert outcome.compensated == ["/do/1/two", "/do/0/one"]


async def test_a_cancel_does_not_lose_the_outcome(bench: Bench) -> None:
    bench.outcomes.away = True
    run_id = await bench.start("do:\n  - a: {set: {x: 1}}\n")
    while not bench.outcomes.asked:
        await asyncio.sleep(0.05)
    await bench.client.get_workflow_handle(run_id).cancel()
    await asyncio.sleep(0.5)
    bench.outcomes.away = False
    assert await bench.result(run_id) == {"x": 1}
    assert [outcome.status for outcome in bench.outcomes.kept] == ["completed"]


async def test_a_fault_of_the_interpreter_ends_and_undoes_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.executor.answers["x.make"] = lambda _: {"id": 1}
    # `factotum.procedures` is passed through the sandbox, so the fault planted here is met in the workflow.
    monkeypatch.setattr(expressions, "truthy", lambda _: 1 / 0)
    run_id = await bench.start(f"do:\n  - a: {{call: x.make, {UNDO}}}\n  - b: {{if: .x, set: {{}}}}\n")
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    assert "ZeroDivisionError" in (await bench.runs.get("acme", run_id)).failure
    assert ("x.undo", {"id": 1}) in bench.executor.calls


async def test_a_run_that_is_cancelled_may_move_while_it_undoes(bench: Bench) -> None:
    bench.executor.answers["x.add"] = lambda arguments: {"sum": arguments["a"]}
    text = """
do:
  - loop:
      for: {each: n, in: '[limit(20; range(100))]'}
      do:
        - one:
            call: x.add
            with: {a: '${ $n }'}
            metadata: {compensate: {call: x.take, with: {a: '${ .sum }'}}}
  - wait: {wait: PT1H}
"""
    run_id = await bench.start(text, history_events=60)
    while len(bench.executor.calls) < 20:
        await asyncio.sleep(0.05)
    handle = bench.client.get_workflow_handle(run_id)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await bench.result(run_id)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "cancelled"
    assert [arguments["a"] for tool, arguments in bench.executor.calls if tool == "x.take"] == list(range(19, -1, -1))
    assert bench.outcomes.kept[0].status == "cancelled"
