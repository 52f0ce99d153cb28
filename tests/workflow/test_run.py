"""Documents as runs on a real Temporal server, their calls over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from factotum.activities.tool_call import HEARTBEAT_SECONDS
from factotum.bounded.evaluator import Busy
from factotum.procedures import expressions
from factotum.procedures.parse import parse
from factotum.runs.errors import RunNotFound
from factotum.runs.view import RunStatus, StepStatus
from factotum.sdk.errors import Ambiguous, Cancelled, Conflict, Failed, NotPermitted, Unavailable
from factotum.workflows.contract import Decision, PendingApproval, RunInput
from tests.support.run_bench import HEAD, Bench, run_bench
from tests.support.temporal import temporal_server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[Client]:
    async with temporal_server() as environment:
        yield environment.client


@pytest_asyncio.fixture(loop_scope="session")
async def bench(server: Client) -> AsyncIterator[Bench]:
    async with run_bench(server) as made, made.worker():
        yield made


async def test_a_run_shows_its_procedure_its_tools_and_their_summaries(bench: Bench) -> None:
    bench.executor.answers["x.add"] = lambda arguments: {"sum": arguments["a"] + 1}
    run_id = await bench.start(
        "do:\n  - add: {call: x.add, with: {a: '${ .n }'}, metadata: {summary: 'Add to ${ .n }'}}\n", {"n": 4}
    )
    assert await bench.result(run_id) == {"sum": 5}
    view = await bench.runs.get("acme", run_id)
    assert (view.status, view.procedure, view.procedure_version) == (RunStatus.COMPLETED, "test/sample", "1.2.3")
    assert view.output == {"sum": 5}
    assert view.ui_url.startswith(f"http://ui/namespaces/default/workflows/{run_id}/")
    (step,) = view.steps
    assert (step.pointer, step.tool, step.summary) == ("/do/0/add", "x.add", "Add to 4")
    assert (step.status, step.attempts) == (StepStatus.COMPLETED, 1)
    description = await bench.client.get_workflow_handle(run_id).describe()
    assert description.workflow_type == "sample"
    (request,) = bench.executor.requests
    assert request.idempotency_key == f"{run_id}:/do/0/add:"
    assert (request.tenant, request.origin.run_id, request.origin.event_id) == ("acme", run_id, "1")
    assert request.tool_version == "1.4.0"
    (outcome,) = bench.outcomes.kept
    assert (outcome.status, outcome.output, outcome.run_id) == ("completed", {"sum": 5}, run_id)


async def test_whom_a_run_acts_for_every_call_of_it_acts_for(bench: Bench) -> None:
    inner = HEAD.replace("name: sample", "name: inner") + "do:\n  - deep: {call: x.add, with: {at: deep}}\n"
    text = """
do:
  - first: {call: x.add, with: {at: first}, metadata: {compensate: {call: x.undo}}}
  - tell: {emit: {event: {with: {source: /s, type: t, factotumuser: eve}}}}
  - nest: {run: {workflow: {namespace: test, name: inner, version: '1.2.3'}}}
  - pause: {wait: {milliseconds: 1}}
  - last: {call: x.fail}
"""

    def fails(_: object) -> Any:
        raise Conflict("no")

    bench.executor.answers["x.fail"] = fails
    documents = {"test/inner:1.2.3": parse(inner).raw}
    run_id = await bench.start(text, user="ada", documents=documents, history_events=20)
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    made = [(request.tool, request.origin.procedure, request.origin.user) for request in bench.executor.requests]
    assert made == [
        ("x.add", "test/sample", "ada"),
        ("x.add", "test/inner", "ada"),
        ("x.fail", "test/sample", "ada"),
        ("x.undo", "test/sample", "ada"),
    ]
    (emitted,) = bench.outcomes.emitted
    # Whatever the document says.
    assert emitted.extensions["factotumuser"] == "ada"


async def test_a_run_that_acts_for_nobody_lets_nobody_be_named(bench: Bench) -> None:
    run_id = await bench.start("do:\n  - tell: {emit: {event: {with: {source: /s, type: t, factotumuser: eve}}}}\n")
    await bench.result(run_id)
    (emitted,) = bench.outcomes.emitted
    assert "factotumuser" not in emitted.extensions


async def test_the_same_id_starts_once(bench: Bench) -> None:
    run_id = await bench.start("do:\n  - a: {set: {x: 1}}\n")
    source = parse(HEAD + "do:\n  - b: {set: {x: 2}}\n")
    again = RunInput(tenant="acme", document=source.raw)
    assert await bench.runs.start(run_id, again, source.document) is False
    assert await bench.result(run_id) == {"x": 1}
    assert await bench.runs.start(run_id, again, source.document) is False


async def test_a_retryable_error_is_retried_under_the_same_key(bench: Bench) -> None:
    answers = iter([Unavailable("away"), Unavailable("away")])

    def flaky(_: object) -> Any:
        for error in answers:
            raise error
        return {"ok": True}

    bench.executor.answers["x.flaky"] = flaky
    run_id = await bench.start("do:\n  - a: {call: x.flaky}\n")
    assert await bench.result(run_id) == {"ok": True}
    assert [request.idempotency_key for request in bench.executor.requests] == [f"{run_id}:/do/0/a:"] * 3


def refuse(error: Exception) -> Any:
    def answer(_: object) -> Any:
        raise error

    return answer


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


async def test_a_try_sees_the_error_at_once(bench: Bench) -> None:
    bench.executor.answers["x.away"] = refuse(Unavailable("away"))
    run_id = await bench.start(
        """
do:
  - attempt:
      try: [{get: {call: x.away}}]
      catch: {errors: {with: {status: 503}}, do: [{keep: {set: {error: '${ $error.detail }'}}}]}
"""
    )
    assert await bench.result(run_id) == {"error": "away"}
    assert len(bench.executor.requests) == 1


async def test_an_ambiguous_effect_keeps_the_run_waiting_and_visible(bench: Bench) -> None:
    decided = asyncio.Event()

    def answer(_: object) -> Any:
        if decided.is_set():
            return {"sent": True}
        raise Ambiguous("nobody knows: factotum effects resolve")

    bench.executor.answers["x.send"] = answer
    # Also inside a `try`: no catch can know what a person must say.
    run_id = await bench.start("do:\n  - t: {try: [{send: {call: x.send}}], catch: {do: [{never: {set: {}}}]}}\n")
    async for view in bench.runs.watch("acme", run_id):
        if view.steps and view.steps[0].status is StepStatus.WAITING:
            assert "nobody knows" in view.steps[0].last_error
            decided.set()
    assert view.status is RunStatus.COMPLETED
    assert view.output == {"sent": True}


async def test_a_call_of_a_terminated_run_is_ended(bench: Bench) -> None:
    began = asyncio.Event()

    async def slow(_: object) -> Any:
        began.set()
        while not bench.executor.cancels:
            await asyncio.sleep(0.02)
        raise Cancelled("x.slow was cancelled", effect_possible=False)

    bench.executor.answers["x.slow"] = slow
    run_id = await bench.start("do:\n  - slow: {call: x.slow}\n")
    await began.wait()
    await bench.client.get_workflow_handle(run_id).terminate()
    async with asyncio.timeout(2 * HEARTBEAT_SECONDS + 2):
        while not bench.executor.cancels:
            await asyncio.sleep(0.02)
    assert bench.executor.cancels == [("acme", f"{run_id}:/do/0/slow:")]


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


async def test_branches_run_side_by_side(bench: Bench) -> None:
    both = asyncio.Barrier(2)

    async def meet(_: object) -> Any:
        await asyncio.wait_for(both.wait(), 20)
        return {}

    bench.executor.answers["x.meet"] = meet
    run_id = await bench.start("do:\n  - f: {fork: {branches: [{a: {call: x.meet}}, {b: {call: x.meet}}]}}\n")
    assert await bench.result(run_id) == [{}, {}]


async def test_another_tenants_run_is_not_found(bench: Bench) -> None:
    run_id = await bench.start("do:\n  - a: {set: {x: 1}}\n", tenant="globex")
    await bench.result(run_id)
    with pytest.raises(RunNotFound):
        await bench.runs.get("acme", run_id)
    with pytest.raises(RunNotFound):
        await bench.runs.get("acme", "acme.sample.00000000000000000000")
    assert run_id not in [view.id for view in await bench.runs.list("acme", limit=500)]
    for _ in range(50):
        found = [view.id for view in await bench.runs.list("globex", limit=500)]
        if run_id in found:
            break
        await asyncio.sleep(0.1)
    assert run_id in found


async def test_a_long_history_goes_on_in_another_execution_with_nothing_done_twice(bench: Bench) -> None:
    bench.executor.answers["x.add"] = lambda arguments: {"sum": arguments["a"]}
    text = """
do:
  - loop:
      for: {each: n, in: '[limit(40; range(100))]'}
      do:
        - both:
            fork:
              branches:
                - one:
                    call: x.add
                    with: {a: '${ $n }'}
                    metadata: {compensate: {call: x.take, with: {a: '${ .sum }'}}}
                - other: {call: x.add, with: {a: '${ -$n }'}}
        - keep: {set: '${ $context.sums + [.[0].sum] }', export: {as: '{sums: .}'}}
  - fail: {raise: {error: {type: 'https://example.com/no', status: 409}}}
"""
    run_id = await bench.start(text, {"sums": []}, history_events=120)
    with pytest.raises(WorkflowFailureError):
        await bench.result(run_id)
    added = [arguments["a"] for tool, arguments in bench.executor.calls if tool == "x.add"]
    assert sorted(added) == sorted([*range(40), *(-n for n in range(40))])
    # All that was done in any execution is undone, the latest first.
    assert [arguments["a"] for tool, arguments in bench.executor.calls if tool == "x.take"] == list(range(39, -1, -1))
    executions = [found async for found in bench.client.list_workflows(f"WorkflowId = '{run_id}'")]
    assert len(executions) >= 5
    assert max(found.history_length for found in executions) < 200
    (outcome,) = bench.outcomes.kept
    assert abs((outcome.started_at - min(found.start_time for found in executions)).total_seconds()) < 0.5


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


async def test_an_expression_that_is_too_dear_is_evaluated_elsewhere_and_stopped(bench: Bench) -> None:
    assert await bench.result(await bench.start("do:\n  - a: {set: '${ [range(.n)] | length }'}\n", {"n": 5})) == 5
    run_id = await bench.start("do:\n  - a: {set: '${ [range(.n)] | length }'}\n", {"n": 1e15})
    with pytest.raises(WorkflowFailureError) as failed:
        await bench.result(run_id)
    assert "/do/0/a/set" in str(failed.value.cause)


async def test_a_worker_that_is_busy_with_other_expressions_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refusals = bench.evaluator.evaluate, [Busy("taken")] * 4 + [TimeoutError("no process started")]

    async def evaluate(*given: Any, **options: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return await real(*given, **options)

    monkeypatch.setattr(bench.evaluator, "evaluate", evaluate)
    assert await bench.result(await bench.start("do:\n  - a: {set: '${ [range(.n)] | length }'}\n", {"n": 5})) == 5
    assert refusals == []


async def test_a_person_decides_on_the_very_call(bench: Bench) -> None:
    text = """
do:
  - add:
      call: x.add
      with: {a: 1}
      metadata: {approval: {by: [ada, 'group:it'], count: 2}}
"""
    bench.executor.answers["x.add"] = lambda _: {"sum": 2}
    run_id = await bench.start(text)
    handle = bench.client.get_workflow_handle(run_id)
    while not (pending := await handle.query("approvals", result_type=list[PendingApproval])):
        await asyncio.sleep(0.05)
    (asked,) = pending
    assert (asked.step, asked.tool, asked.arguments, asked.count) == ("/do/0/add", "x.add", {"a": 1}, 2)
    for decision, reason in [
        (Decision(step="/do/0/add", call_sha256="0" * 64, approve=True, by="ada"), "call_changed"),
        (Decision(step="/do/0/add", call_sha256=asked.call_sha256, approve=True, by="eve"), "not_allowed"),
        (Decision(step="/do/1/other", call_sha256=asked.call_sha256, approve=True, by="ada"), "not_waiting"),
    ]:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("decide", decision)
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == reason
    agreed = Decision(step="/do/0/add", call_sha256=asked.call_sha256, approve=True, by="ada")
    assert await handle.execute_update("decide", agreed) is False
    assert await handle.execute_update("decide", agreed) is False, "one person counts once"
    assert bench.executor.calls == []
    other = agreed.model_copy(update={"by": "bob", "groups": ["it"]})
    assert await handle.execute_update("decide", other) is True
    assert await bench.result(run_id) == {"sum": 2}
    (request,) = bench.executor.requests
    assert (request.approval.call_sha256, list(request.approval.by)) == (asked.call_sha256, ["ada", "bob"])
