"""Documents as runs on a real Temporal server, their calls over real gRPC."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from factotum.activities.tool_call import HEARTBEAT_SECONDS
from factotum.bounded.evaluator import Busy
from factotum.procedures.parse import parse
from factotum.runs.errors import RunNotFound
from factotum.runs.view import RunStatus, StepStatus
from factotum.sdk.errors import Ambiguous, Cancelled, Conflict, Unavailable
from factotum.workflows.contract import Decision, PendingApproval, RunInput
from tests.support.run_bench import HEAD, Bench, refuse


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
    assert (outcome.goal, outcome.lesson) == ("A sample", "")
    assert [(planned.step, planned.tool) for planned in outcome.plan] == [("/do/0/add", "x.add")]
    assert [(taken.step, taken.status, taken.rounds) for taken in outcome.steps] == [("/do/0/add", "completed", 1)]


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
    answers = iter([Unavailable("away")] * 3)

    def flaky(_: object) -> Any:
        for error in answers:
            raise error
        return {"ok": True}

    bench.executor.answers["x.flaky"] = flaky
    run_id = await bench.start("do:\n  - a: {call: x.flaky}\n")
    assert await bench.result(run_id) == {"ok": True}
    assert [request.idempotency_key for request in bench.executor.requests] == [f"{run_id}:/do/0/a:"] * 4
    (outcome,) = bench.outcomes.kept
    (step,) = outcome.steps
    # What is seen within the run is one call; Temporal knows of the others.
    assert (step.status, step.rounds, step.attempts, step.error) == ("completed", 1, 4, "unavailable")
    assert re.fullmatch(r"A worked on try 4 after \d s \(before: unavailable\)\.", outcome.lesson)


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
    # What was counted before the run moved goes on being counted.
    assert {taken.rounds for taken in outcome.steps if taken.kind == "call"} == {40}
    assert abs((outcome.started_at - min(found.start_time for found in executions)).total_seconds()) < 0.5


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
