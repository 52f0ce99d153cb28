"""The interpreter against the histories of every release: what runs in flight have done, it would do again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.workflow import NondeterminismError

from factotum.procedures.parse import parse_raw
from factotum.procedures.tasks import TASKS
from factotum.worker.pool import WORKFLOWS, sandbox
from factotum.workflows import flow
from factotum.workflows.contract import EVALUATE, RunInput
from factotum.workflows.effects import TemporalEffects
from factotum.workflows.hearing import Hearing
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.step import Step
from factotum.workflows.version import INTERPRETER_VERSION
from tests.support import kept_histories
from tests.support.effects import InMemoryEffects

Json = Any
KEPT = kept_histories.kept()
# Those of another interpreter are not for this one to replay: their runs stay with that one.
OURS = {
    name: history
    for name, history in KEPT.items()
    if kept_histories.interpreter_of(history) == str(INTERPRETER_VERSION)
}


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def replayed(histories: dict[str, WorkflowHistory], threads: ThreadPoolExecutor, runner: WorkflowRunner) -> Json:
    """Why histories could not be replayed, by name; as a worker would, which is made in `worker.main`."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=runner,
        workflow_task_executor=threads,
        data_converter=pydantic_data_converter,
        interceptors=[TracingInterceptor()],
    )
    faults = {}
    for name, history in histories.items():
        found = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if found.replay_failure is not None:
            faults[name] = found.replay_failure
    return faults


async def test_every_kept_history_is_replayed(threads: ThreadPoolExecutor) -> None:
    # Without the sandbox, which reads the modules anew for every run; nothing else differs.
    assert await replayed(OURS, threads, UnsandboxedWorkflowRunner()) == {}


@pytest.mark.parametrize("name", ["moving-2", "recurrence-1"])
async def test_a_kept_history_is_replayed_in_the_sandbox_of_the_worker(name: str, threads: ThreadPoolExecutor) -> None:
    assert await replayed(only(name), threads, sandbox()) == {}


def only(name: str) -> dict[str, WorkflowHistory]:
    """The histories of this name, of every release."""
    found = {kept: history for kept, history in OURS.items() if kept.endswith(f"/{name}")}
    assert found
    return found


def test_the_histories_have_all_that_makes_a_difference_to_temporal() -> None:
    kinds = {event.WhichOneof("attributes") for history in OURS.values() for event in history.events}
    assert {name.removesuffix("_event_attributes") for name in kinds if name} >= {
        "activity_task_cancel_requested",
        "activity_task_failed",
        "child_workflow_execution_completed",
        "child_workflow_execution_failed",
        "marker_recorded",
        "timer_canceled",
        "timer_fired",
        "upsert_workflow_search_attributes",
        "workflow_execution_cancel_requested",
        "workflow_execution_canceled",
        "workflow_execution_completed",
        "workflow_execution_continued_as_new",
        "workflow_execution_failed",
        "workflow_execution_signaled",
        "workflow_execution_update_completed",
    }
    inputs = [started(history) for history in OURS.values()]
    tasks = {name for found in inputs for name in names(found.get("document"))}
    assert tasks >= {*TASKS, "compensate", "approval", "extensions", "functions", "secrets", "retry", "compete"}
    assert any(found.get("resume") for found in inputs)
    assert any(found.get("ending") for found in inputs)


def test_what_any_interpreter_left_can_be_taken_up() -> None:
    """A run that continues as new goes on with a newer interpreter: that one reads what an older one wrote."""
    moved = [RunInput.model_validate(found) for found in map(started, KEPT.values()) if found.get("resume")]
    assert moved
    for run in moved:
        document = parse_raw(run.document).document
        taken_up = Interpreter(document, InMemoryEffects(), descriptor={}, saved=run.resume)
        assert taken_up.as_json() == run.resume


def started(history: WorkflowHistory) -> Json:
    """What a run was given."""
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    return json.loads(payloads[0].data)


def names(value: Json) -> set[str]:
    """Every name in a value."""
    if isinstance(value, dict):
        return {*value, *(name for inner in value.values() for name in names(inner))}
    return {name for inner in value for name in names(inner)} if isinstance(value, list) else set()


# -- changes that a run in flight would not survive ----------------------------------------------------------------


def one_activity_more() -> AbstractContextManager[Any]:
    call = TemporalEffects.call

    async def noted(self: TemporalEffects, step: Step) -> Json:
        await workflow.execute_activity("note", start_to_close_timeout=timedelta(seconds=10))
        return await call(self, step)

    return mock.patch.object(TemporalEffects, "call", noted)


def another_activity() -> AbstractContextManager[Any]:
    call = TemporalEffects.call

    async def renamed(self: TemporalEffects, step: Step) -> Json:
        return await call(self, replace(step, tool=f"tool.{step.tool}"))

    return mock.patch.object(TemporalEffects, "call", renamed)


def the_last_branch_first() -> AbstractContextManager[Any]:
    branch = flow._branch

    async def turned(run: Interpreter, pointer: str, index: int, *rest: Any) -> Json:
        for _ in range(10 - 3 * index):
            await asyncio.sleep(0)
        return await branch(run, pointer, index, *rest)

    return mock.patch.object(flow, "_branch", turned)


def nothing_is_unsubscribed() -> AbstractContextManager[Any]:
    async def end(_: Hearing) -> None:
        return None

    return mock.patch.object(Hearing, "end", end)


def costly_expressions_by_an_activity() -> AbstractContextManager[Any]:
    async def evaluate(_: TemporalEffects, program: str, value: Json, arguments: Json) -> Json:
        return await workflow.execute_activity(EVALUATE, start_to_close_timeout=timedelta(seconds=10))

    return mock.patch.object(TemporalEffects, "evaluate", evaluate)


def no_move() -> AbstractContextManager[Any]:
    return mock.patch.object(TemporalEffects, "should_move", lambda _: False)


CHANGES = [
    (one_activity_more, "flow-1"),
    (another_activity, "undone-1"),
    (the_last_branch_first, "forks-1"),
    (nothing_is_unsubscribed, "listening-1"),
    (costly_expressions_by_an_activity, "flow-1"),
    (no_move, "moving-2"),
]


@pytest.mark.parametrize(("change", "name"), CHANGES)
async def test_a_change_that_runs_in_flight_would_not_survive_is_found(
    change: Callable[[], AbstractContextManager[Any]], name: str, threads: ThreadPoolExecutor
) -> None:
    # In the sandbox, which reads the modules anew for every run, the change would not be seen.
    histories = only(name)
    assert await replayed(histories, threads, UnsandboxedWorkflowRunner()) == {}
    with change():
        faults = await replayed(histories, threads, UnsandboxedWorkflowRunner())
    assert set(faults) == set(histories)
    assert all(isinstance(fault, NondeterminismError) for fault in faults.values()), faults
