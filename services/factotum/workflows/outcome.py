"""How a run ends: what was done is undone, what could not be is left to a person, and the world is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RetryPolicy

from factotum.workflows.compensation import Done, Doubt
from factotum.workflows.contract import PUBLISH_OUTCOME, Ending, Outcome, PersonTask, RunInput
from factotum.workflows.effects import idempotency_key
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem


class Teller:
    """Publishes the outcome; waits for Kafka as long as it takes, since an outcome must not be lost."""

    def __init__(self, run: RunInput, procedure: str, version: str) -> None:
        self._run = run
        self._procedure = procedure
        self._version = version

    async def completed(self, output: Any) -> None:
        await self._tell("completed", output=output)

    async def ended(self, ending: Ending) -> None:
        await self._tell(ending.status, failure=ending.failure, compensated=ending.compensated, tasks=ending.tasks)

    async def _tell(self, status: Literal["completed", "failed", "cancelled"], **found: Any) -> None:
        info = workflow.info()
        outcome = Outcome(
            tenant=self._run.tenant,
            run_id=info.workflow_id,
            procedure=self._procedure,
            procedure_version=self._version,
            event=self._run.event,
            status=status,
            input=self._run.input,
            started_at=self._run.first_started_at or info.start_time,
            ended_at=workflow.now(),
            **found,
        )
        await workflow.execute_activity(
            PUBLISH_OUTCOME,
            outcome,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
            summary=status,
        )


async def undo_something(interpreter: Interpreter, ending: Ending) -> Ending | None:
    """Settles the next doubt, or else undoes the latest step that is not undone; None if nothing is left.

    What cannot be found out or undone is a person's task, with all that it takes to do it by hand.
    """
    journal = interpreter.journal
    for doubt in journal.doubts():
        try:
            await interpreter.settle(doubt)
        except Problem as error:
            journal.ended(doubt.step)
            return _left(ending, f"may stand: {error}", _to_find_out(doubt, error))
        return ending
    for done in journal.backwards():
        journal.undone(done)
        try:
            await interpreter.undo(done)
        except Problem as error:
            return _left(ending, f"not undone: {error}", _to_undo(done, error))
        return ending.model_copy(update={"compensated": [*ending.compensated, done.step.pointer]})
    return None


def _left(ending: Ending, failure: str, task: PersonTask) -> Ending:
    return ending.model_copy(update={"failures": [*ending.failures, failure], "tasks": [*ending.tasks, task]})


def _to_find_out(doubt: Doubt, error: Problem) -> PersonTask:
    return PersonTask(
        kind="find out",
        step=doubt.step.pointer,
        iteration=doubt.step.iteration,
        tool=doubt.step.tool,
        arguments=doubt.step.arguments,
        idempotency_key=idempotency_key(doubt.step),
        error=str(error),
    )


def _to_undo(done: Done, error: Problem) -> PersonTask:
    return PersonTask(
        kind="undo",
        step=done.step.pointer,
        iteration=done.step.iteration,
        tool=done.tool,
        arguments=done.arguments,
        idempotency_key=f"{idempotency_key(done.step)}:undo",
        error=str(error),
    )
