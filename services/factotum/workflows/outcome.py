"""How a run ends on Temporal: what was done is undone, and the world is told."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RetryPolicy

from factotum.procedures.model import Document
from factotum.workflows import undoing
from factotum.workflows.chronicle import Chronicle, goal_of, plan_of
from factotum.workflows.contract import PUBLISH_OUTCOME, Ending, Outcome, RunInput
from factotum.workflows.effects import idempotency_key
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.local import NotHere, tried_here


class Teller:
    """Publishes the outcome; waits for Kafka as long as it takes, since an outcome must not be lost.

    Args:
        document: None for one that cannot be read.
    """

    def __init__(self, run: RunInput, document: Document | None, chronicle: Chronicle) -> None:
        self._run = run
        self._document = document
        self._chronicle = chronicle

    async def completed(self, output: Any) -> None:
        await self._tell("completed", output=output)

    async def ended(self, ending: Ending) -> None:
        await self._tell(ending.status, failure=ending.failure, compensated=ending.compensated, tasks=ending.tasks)

    async def _tell(self, status: Literal["completed", "failed", "cancelled"], **found: Any) -> None:
        info = workflow.info()
        document = self._document
        if document is not None:
            found = {**found, "goal": goal_of(document), "plan": plan_of(document)}
        outcome = Outcome(
            tenant=self._run.tenant,
            run_id=info.workflow_id,
            procedure="" if document is None else document.full_name,
            procedure_version="" if document is None else document.document.version,
            event=self._run.event,
            status=status,
            input=self._run.input,
            steps=self._chronicle.steps,
            steps_left_out=self._chronicle.left_out,
            started_at=self._run.first_started_at or info.start_time,
            ended_at=workflow.now(),
            **found,
        )
        # Of one that failed the history keeps what is left for a person; of a local activity it keeps nothing.
        if status == "completed" and (seconds := self._run.limits.here_seconds) > 0:
            with suppress(NotHere):
                await tried_here(PUBLISH_OUTCOME, outcome, seconds=seconds, summary=status)
                return
        await workflow.execute_activity(
            PUBLISH_OUTCOME,
            outcome,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
            summary=status,
        )


async def undo_something(interpreter: Interpreter, ending: Ending) -> Ending | None:
    """See `undoing.undo_something`."""
    return await undoing.undo_something(interpreter, ending, idempotency_key)
