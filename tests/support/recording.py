"""Plays the runs whose histories are kept: `tests/workflow/histories/runs.yaml`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle, WorkflowHistory

from factotum.planner.shelf import packaged_folder
from factotum.procedures.duration import Duration
from factotum.procedures.parse import parse, parse_raw
from factotum.sdk.errors import Conflict, Failed, NotDone, Unavailable
from factotum.workflows.contract import Decision, Limits, PendingApproval, RunInput, ToolPin
from factotum.workflows.recurrence import RECURRENCE, Recurring
from tests.support.worker_bench import WorkerBench, result

RUNS = Path(__file__).parents[1] / "workflow" / "histories" / "runs.yaml"
LANGUAGE = ("use", "do", "timeout", "output")
EMPLOYEE = {
    "id": "1",
    "firstName": "Ada",
    "lastName": "Example",
    "workEmail": "ada@example.com",
    "hireDate": "2026-11-30",
    "department": "Engineering",
}
_ENDS = {
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
}

Json = Any


def runs() -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = yaml.safe_load(RUNS.read_text(encoding="utf-8"))
    return found


async def play(bench: WorkerBench, wanted: dict[str, Json]) -> dict[str, WorkflowHistory]:
    """The histories of a run and of those nested in it, one for each execution, by name."""
    bench.executor.answers = _answers(bench, wanted)
    bench.executor.settled = {"x.lost": lambda arguments: {"n": 9}}
    name = wanted["name"]
    handle = await bench.start(f"acme.{name}.0", _run_input(wanted))
    if wanted.get("events"):
        await bench.tell(handle.id, *wanted["events"])
    for decision in wanted.get("decisions", []):
        await _decide(handle, approve=decision == "approve")
    with contextlib.suppress(WorkflowFailureError):
        await result(handle)
    status = (await handle.describe()).status
    assert status is not None and _ENDS.get(status) == wanted["ends"], f"{name}: {status}"
    found = [(name, history) for history in await bench.histories(handle.id)]
    for nested in await _nested(bench, found):
        await asyncio.wait([asyncio.ensure_future(bench.client.get_workflow_handle(nested).result())])
        found += [(f"{name}-nested", history) for history in await bench.histories(nested)]
    numbers = count(1)
    return {f"{of}-{next(numbers)}": history for of, history in found}


async def play_recurrence(bench: WorkerBench) -> dict[str, WorkflowHistory]:
    """The history of one round of what starts a procedure again and again."""
    bench.executor.answers = {}
    run = _run_input({"name": "again", "do": [{"add": {"call": "x.add"}}]})
    recurring = Recurring(
        name="again",
        procedure="test/again",
        run_id="acme.again",
        after=Duration(milliseconds=50),
        run=run,
        memo={},
        summary="",
        definition_sha256="0",
    )
    handle = await bench.client.start_workflow(
        RECURRENCE, recurring, id="acme.recurring.0", task_queue=bench.task_queue
    )
    first = bench.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    while (await first.describe()).status is not WorkflowExecutionStatus.CONTINUED_AS_NEW:
        await asyncio.sleep(0.05)
    await bench.client.get_workflow_handle(handle.id).terminate()
    return {"recurrence-1": await first.fetch_history()}


def _run_input(wanted: dict[str, Json]) -> RunInput:
    if "packaged" in wanted:
        text = (packaged_folder() / f"{wanted['packaged']}.yaml").read_text(encoding="utf-8")
        document = parse(text).raw
        given: Json = [{"data": {"employee": {"id": EMPLOYEE["id"]}}}]
    else:
        head = {"dsl": "1.0.3", "namespace": "test", "name": wanted["name"], "version": "1.0.0"}
        document = {"document": head, **{name: wanted[name] for name in LANGUAGE if name in wanted}}
        given = wanted.get("input", {})
    documents = [parse_raw(inner).raw for inner in wanted.get("documents", [])]
    return RunInput(
        tenant="acme",
        document=document,
        input=given,
        tools={name: ToolPin.model_validate(pin) for name, pin in wanted.get("tools", {}).items()},
        documents={"{namespace}/{name}:{version}".format(**each["document"]): each for each in documents},
        functions=wanted.get("functions", {}),
        limits=Limits(history_events=wanted.get("history_events", 0), **wanted.get("limits", {})),
    )


def _answers(bench: WorkerBench, wanted: dict[str, Json]) -> dict[str, Callable[[dict[str, Json]], Json]]:
    began = asyncio.Event()

    def refuse(_: Json) -> Json:
        raise Conflict("no")

    def lost(_: Json) -> Json:
        raise Failed("who knows")

    def flaky(times: int) -> Callable[[Json], Json]:
        left = iter(range(times))

        def answer(_: Json) -> Json:
            for _ in left:
                raise Unavailable("away")
            return {"sum": 0}

        return answer

    async def slow(_: Json) -> Json:
        """Ends when it is asked to, without having done anything."""
        began.set()
        while not bench.executor.cancels:
            await asyncio.sleep(0.02)
        raise NotDone("it was ended")

    def messages(arguments: dict[str, Json]) -> Json:
        at = int(arguments["cursor"] or 0)
        return {"messages": [{"payload": at, "headers": {}, "correlationId": ""}], "cursor": str(at + 1)}

    async def cancel(arguments: Json) -> Json:
        handle = bench.client.get_workflow_handle(f"acme.{wanted['name']}.0")
        await handle.cancel()
        return await slow(arguments)

    bench.executor.cancels.clear()
    answers: dict[str, Callable[[dict[str, Json]], Json]] = {
        "x.add": lambda arguments: {"sum": arguments.get("a", 0) + 1},
        "x.more": lambda arguments: {"sum": 1},
        "x.make": lambda arguments: {"n": arguments["n"]},
        "x.refuse": refuse,
        "x.lost": lost,
        "x.flaky": flaky(1),
        "x.flaky2": flaky(2),
        "x.slow": slow,
        "asyncapi.receive": messages,
        "hr.get_employee": lambda _: EMPLOYEE,
        "identity.create_user": lambda arguments: {"id": "u1", **arguments},
        "identity.add_to_group": lambda arguments: arguments,
        "calendar.working_days": lambda _: {"days": ["2026-11-30", "2026-12-01", "2026-12-02"]},
        "calendar.schedule": lambda arguments: {"uid": arguments["summary"]},
    }
    if "cancel" in wanted:
        answers[wanted["cancel"]] = cancel
    if "refuse" in wanted:
        answers[wanted["refuse"]] = refuse
    return answers


async def _decide(handle: WorkflowHandle[Any, Any], *, approve: bool) -> None:
    """Everybody who is asked decides on the next call that waits, until it is settled or nobody is left."""
    asked: list[PendingApproval] = []
    while not asked:
        await asyncio.sleep(0.05)
        asked = await handle.query("approvals", result_type=list[PendingApproval])
    call = asked[0]
    by = next(name for name in call.by if name not in call.approved_by)
    decision = Decision(
        step=call.step, iteration=call.iteration, call_sha256=call.call_sha256, approve=approve, by=by, because="so"
    )
    await handle.execute_update("decide", decision)


async def _nested(bench: WorkerBench, found: list[tuple[str, WorkflowHistory]]) -> list[str]:
    return [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        for _, history in found
        for event in history.events
        if event.HasField("start_child_workflow_execution_initiated_event_attributes")
    ]
