"""People and runs: decisions on calls, and what is left to be done by hand, on a real Temporal server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError

from factotum.runs import attributes
from factotum.runs.decisions import WaitingCall
from factotum.runs.errors import CallChanged, NotAmongThem, NothingWaits, RunNotFound
from factotum.runs.view import RunStatus
from factotum.sdk.errors import Conflict, Unavailable
from factotum.workflows.contract import Decision, PendingApproval
from tests.support.run_bench import Bench, run_bench

STEP = "/do/0/add"


@pytest_asyncio.fixture(loop_scope="session")
async def idle(server: Client) -> AsyncIterator[Bench]:
    async with run_bench(server) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def bench(idle: Bench) -> AsyncIterator[Bench]:
    async with idle.worker():
        yield idle


def asking(approval: str, arguments: str = "{a: 1}") -> str:
    return f"do:\n  - add: {{call: x.add, with: {arguments}, metadata: {{approval: {approval}}}}}\n"


async def waiting(bench: Bench, run_id: str, by: str = "ada") -> PendingApproval:
    """The one call of the run that waits for this person, once one does."""
    async with asyncio.timeout(20):
        while True:
            found, _ = await bench.decisions.approvals("acme", run_id)
            if calls := [call.asked for call in found if by in call.asked.by]:
                (asked,) = calls
                return asked
            await asyncio.sleep(0.05)


def on(asked: PendingApproval, by: str, *, approve: bool = True, **more: Any) -> Decision:
    return Decision(step=asked.step, call_sha256=asked.call_sha256, approve=approve, by=by, **more)


async def failure_of(bench: Bench, run_id: str) -> str:
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    return (await bench.runs.get("acme", run_id)).failure


async def test_what_waits_is_listed_and_shown_until_it_is_decided(bench: Bench) -> None:
    go = asyncio.Event()

    async def later(_: object) -> Any:
        await go.wait()
        return {}

    bench.executor.answers["x.later"] = later
    run_id = await bench.start(asking("{by: [ada]}") + "  - later: {call: x.later}\n")
    asked = await waiting(bench, run_id)

    async def listed() -> list[WaitingCall]:
        found, unanswered = await bench.decisions.approvals("acme")
        assert unanswered == []
        return [call for call in found if call.run_id == run_id]

    async with asyncio.timeout(20):
        while not (calls := await listed()):
            await asyncio.sleep(0.1)
    assert [(call.procedure, call.asked) for call in calls] == [("test/sample", asked)]
    assert (await bench.runs.get("acme", run_id)).approvals == [asked]
    assert [event.type for event in bench.outcomes.emitted] == ["io.factotum.approval.requested"]
    with pytest.raises(RunNotFound):
        await bench.decisions.approvals("globex", run_id)
    with pytest.raises(RunNotFound):
        await bench.decisions.decide("globex", run_id, on(asked, "ada"))
    assert await bench.decisions.decide("acme", run_id, on(asked, "ada")) is True
    while len(bench.executor.calls) < 2:
        await asyncio.sleep(0.05)
    description = await bench.client.get_workflow_handle(run_id).describe()
    assert description.typed_search_attributes.get(attributes.WAITING) is None
    async with asyncio.timeout(20):
        while await listed():
            await asyncio.sleep(0.1)
    go.set()
    await bench.result(run_id)
    assert await bench.decisions.approvals("acme", run_id) == ([], [])
    with pytest.raises(NothingWaits):
        await bench.decisions.decide("acme", run_id, on(asked, "ada"))


async def test_nothing_waits_in_a_run_that_was_ended_from_outside(bench: Bench) -> None:
    run_id = await bench.start(asking("{by: [ada]}"))
    asked = await waiting(bench, run_id)
    await bench.client.get_workflow_handle(run_id).terminate()
    assert await bench.decisions.approvals("acme", run_id) == ([], [])
    with pytest.raises(NothingWaits):
        await bench.decisions.decide("acme", run_id, on(asked, "ada"))


async def test_what_nobody_decides_on_in_time_is_not_done(bench: Bench) -> None:
    run_id = await bench.start(asking("{by: [ada], within: PT0.5S}"))
    assert "nobody decided on the call in time" in await failure_of(bench, run_id)
    assert bench.executor.calls == []


async def test_who_is_asked_next_decides_then_and_nobody_else(bench: Bench) -> None:
    run_id = await bench.start(asking("{by: [ada], within: PT0.5S, otherwise: {by: [bob]}}"))
    asked = await waiting(bench, run_id, by="bob")
    with pytest.raises(NotAmongThem, match="ada is none of bob"):
        await bench.decisions.decide("acme", run_id, on(asked, "ada"))
    assert await bench.decisions.decide("acme", run_id, on(asked, "bob")) is True
    await bench.result(run_id)
    assert list(bench.executor.requests[0].approval.by) == ["bob"]


async def test_a_refusal_is_the_runs_error_with_its_reason(bench: Bench) -> None:
    run_id = await bench.start(asking("{by: [ada, 'group:it'], count: 2}"))
    asked = await waiting(bench, run_id)
    refusal = on(asked, "bob", approve=False, groups=["it"], because="too dear")
    assert await bench.decisions.decide("acme", run_id, refusal) is True
    assert "bob refused the call: too dear" in await failure_of(bench, run_id)
    assert bench.executor.calls == []


AGAIN = "catch: {errors: {with: {status: 503}}, retry: {delay: PT0.1S, limit: {attempt: {count: 3}}}}"


def away_at_first() -> Any:
    answers = iter([Unavailable("away")])

    def answer(arguments: dict[str, Any]) -> Any:
        for error in answers:
            raise error
        return arguments

    return answer


async def test_the_same_call_again_asks_nobody_again(bench: Bench) -> None:
    bench.executor.answers["x.add"] = away_at_first()
    add = "add: {call: x.add, with: {a: 1}, metadata: {approval: {by: [ada]}}}"
    run_id = await bench.start(f"do:\n  - t: {{try: [{{{add}}}], {AGAIN}}}\n")
    await bench.decisions.decide("acme", run_id, on(await waiting(bench, run_id), "ada"))
    assert await bench.result(run_id) == {"a": 1}
    assert len(bench.executor.requests) == 2
    assert len(bench.outcomes.emitted) == 1


async def test_another_call_asks_anew(bench: Bench) -> None:
    bench.executor.answers["x.add"] = away_at_first()
    text = f"""
do:
  - t:
      try:
        - count: {{set: '${{ ($context.n // 0) + 1 }}', export: {{as: '{{n: .}}'}}}}
        - add: {{call: x.add, with: {{a: '${{ $context.n }}'}}, metadata: {{approval: {{by: [ada]}}}}}}
      {AGAIN}
"""
    run_id = await bench.start(text, {})
    first = await waiting(bench, run_id)
    await bench.decisions.decide("acme", run_id, on(first, "ada"))
    async with asyncio.timeout(20):
        while (second := await waiting(bench, run_id)).call_sha256 == first.call_sha256:
            await asyncio.sleep(0.05)
    assert (first.arguments, second.arguments) == ({"a": 1}, {"a": 2})
    with pytest.raises(CallChanged):
        await bench.decisions.decide("acme", run_id, on(first, "ada"))
    await bench.decisions.decide("acme", run_id, on(second, "ada"))
    assert await bench.result(run_id) == {"a": 2}


async def test_a_decision_outlives_the_worker_and_the_execution(idle: Bench) -> None:
    text = """
do:
  - f:
      fork:
        branches:
          - add: {call: x.add, with: {a: 1}, metadata: {approval: {by: [ada, bob], count: 2}}}
          - busy:
              do:
                - gate: {call: x.gate, metadata: {approval: {by: [carl]}}}
                - loop: {for: {each: n, in: '[range(12)]'}, do: [{one: {call: x.one}}]}
"""
    async with idle.worker():
        run_id = await idle.start(text, history_events=30)
        asked = await waiting(idle, run_id)
        assert await idle.decisions.decide("acme", run_id, on(asked, "ada")) is False
    async with idle.worker():
        again = await waiting(idle, run_id)
        assert (again.approved_by, again.asked_at) == (["ada"], asked.asked_at)
        assert await idle.decisions.decide("acme", run_id, on(await waiting(idle, run_id, by="carl"), "carl")) is True
        while len(idle.executor.calls) < 13:
            await asyncio.sleep(0.05)
        moved = await waiting(idle, run_id)
        assert moved.approved_by == ["ada"]
        view = await idle.runs.get("acme", run_id)
        assert (view.status, view.approvals) == (RunStatus.RUNNING, [moved])
        assert await idle.decisions.decide("acme", run_id, on(moved, "bob")) is True
        await idle.result(run_id)
    executions = [found async for found in idle.client.list_workflows(f"WorkflowId = '{run_id}'")]
    assert len(executions) > 1
    (request,) = (request for request in idle.executor.requests if request.tool == "x.add")
    assert list(request.approval.by) == ["ada", "bob"]
    assert len(idle.outcomes.emitted) == 2, "nobody is asked twice"


async def test_what_cannot_be_undone_is_tried_for_a_while_and_then_a_persons_task(bench: Bench) -> None:
    def away(_: object) -> Any:
        raise Unavailable("the ledger is closed")

    def refused(_: object) -> Any:
        raise Conflict("no")

    bench.executor.answers |= {"x.make": lambda _: {"id": 7}, "x.undo": away, "x.bad": refused}
    undo = "metadata: {compensate: {call: x.undo, with: {id: '${ .id }'}}}"
    text = f"do:\n  - one: {{call: x.make, {undo}}}\n  - bad: {{call: x.bad}}\n"
    run_id = await bench.start(text, compensation_seconds=3.0)
    assert "not undone" in await failure_of(bench, run_id)
    assert sum(tool == "x.undo" for tool, _ in bench.executor.calls) > 1
    view = await bench.runs.get("acme", run_id)
    (task,) = view.tasks
    assert (task.kind, task.step, task.tool, task.arguments) == ("undo", "/do/0/one", "x.undo", {"id": 7})
    assert task.idempotency_key == f"{run_id}:/do/0/one::undo"
    # The last try may have been under way when time ran out.
    assert "the ledger is closed" in task.error or "did not end in time" in task.error
    (outcome,) = bench.outcomes.kept
    (told,) = outcome.tasks
    assert told.model_dump() == task.model_dump()
    async with asyncio.timeout(20):
        while not (left := [each for each in await bench.decisions.tasks("acme", limit=10) if each.run_id == run_id]):
            await asyncio.sleep(0.1)
    assert [(each.procedure, each.ended_at, each.task) for each in left] == [("test/sample", view.ended_at, task)]
    description = await bench.client.get_workflow_handle(run_id).describe()
    assert description.typed_search_attributes.get(attributes.WAITING) == attributes.TASK
