"""How a run ends: what was done is undone, what could not be is left to a person, and the world is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RetryPolicy

from factotum.workflows.compensation import Done, Doubt
from factotum.workflows.contract import PUBLISH_OUTCOME, Outcome, PersonTask, RunInput
from factotum.workflows.effects import idempotency_key
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem


class Teller:
    """Publishes the outcome; waits for Kafka as long as it takes, since an outcome must not be lost."""

    def __init__(self, run: RunInput, procedure: str, version: str) -> None:
        self._run = run
        self._procedure = procedure
        self._version = version
        self.compensated: list[str] = []
        self.tasks: list[PersonTask] = []

    async def tell(
        self, status: Literal["completed", "failed", "cancelled"], *, output: Any = None, failure: str = ""
    ) -> None:
        info = workflow.info()
        outcome = Outcome(
            tenant=self._run.tenant,
            run_id=info.workflow_id,
            procedure=self._procedure,
            procedure_version=self._version,
            event=self._run.event,
            status=status,
            input=self._run.input,
            output=output,
            failure=failure,
            compensated=self.compensated,
            tasks=self.tasks,
            started_at=self._run.first_started_at or info.start_time,
            ended_at=workflow.now(),
        )
        await workflow.execute_activity(
            PUBLISH_OUTCOME,
            outcome,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
            summary=status,
        )


async def undo_everything(interpreter: Interpreter, teller: Teller) -> list[str]:
    """Undoes every finished step in reverse; returns what could not be undone, or may stand.

    Each of these is a person's task as well, with all that it takes to do it by hand.
    """
    failures = []
    for doubt in interpreter.journal.doubts():
        try:
            await interpreter.settle(doubt)
        except Problem as error:
            failures.append(f"may stand: {error}")
            teller.tasks.append(_to_find_out(doubt, error))
    for done in interpreter.journal.backwards():
        try:
            await interpreter.undo(done)
            teller.compensated.append(done.step.pointer)
        except Problem as error:
            failures.append(f"not undone: {error}")
            teller.tasks.append(_to_undo(done, error))
    return failures


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
