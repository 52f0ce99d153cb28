"""The workflow: one run of one document.

Dynamic, so that in the Temporal UI a run's Workflow Type is its procedure's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, Literal, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError

from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import parse_raw
from factotum.workflows.contract import PUBLISH_OUTCOME, Outcome, RunInput
from factotum.workflows.effects import TemporalEffects
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem
from factotum.workflows.scope import Aborted

T = TypeVar("T")


@workflow.defn(dynamic=True)
class Run:
    """Interprets the document, undoes what was done if it fails or is cancelled, tells the outcome."""

    @workflow.run
    async def run(self, arguments: Sequence[RawValue]) -> Any:
        run = workflow.payload_converter().from_payload(arguments[0].payload, RunInput)
        try:
            document = parse_raw(run.document).document
        except FaultyDocument as error:
            await _to_its_end(_Teller(run, "", "").tell("failed", failure=str(error)))
            raise ApplicationError(str(error), type="faulty-document", non_retryable=True) from error
        effects = TemporalEffects(run, document.full_name)
        interpreter = Interpreter(document, effects, descriptor=_descriptor(run))
        teller = _Teller(run, document.full_name, document.document.version)
        work = asyncio.ensure_future(interpreter.run(run.input))
        try:
            output = await asyncio.shield(work)
        except Problem as error:
            failure = await _to_its_end(_fail(interpreter, teller, "failed", str(error)))
            raise ApplicationError(failure, error.as_json(), type=error.title, non_retryable=True) from error
        except asyncio.CancelledError:
            interpreter.abort()
            work.cancel()
            await _to_its_end(_settled(work))
            await _to_its_end(_fail(interpreter, teller, "cancelled", "cancelled"))
            raise
        await _to_its_end(teller.tell("completed", output=output))
        return output


async def _to_its_end(ending: Coroutine[Any, Any, T]) -> T:
    """Awaits what must not be left half done: a cancel that comes meanwhile changes nothing any more."""
    task = asyncio.ensure_future(ending)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                raise


async def _settled(work: asyncio.Future[Any]) -> None:
    """Waits for calls under way to end; what they did is in the journal."""
    try:
        await work
    except (Problem, Aborted, asyncio.CancelledError):
        return


async def _fail(interpreter: Interpreter, teller: _Teller, status: Literal["failed", "cancelled"], reason: str) -> str:
    """Undoes what was done, tells the outcome, and returns the whole failure in one line."""
    failure = "; ".join([reason, *await _compensate(interpreter, teller)])
    await teller.tell(status, failure=failure)
    return failure


async def _compensate(interpreter: Interpreter, teller: _Teller) -> list[str]:
    """Undoes every finished step in reverse; returns what could not be undone, or may stand."""
    failures = []
    for doubt in interpreter.journal.doubts():
        try:
            await interpreter.settle(doubt)
        except Problem as error:
            failures.append(f"may stand: {error}")
    for done in interpreter.journal.backwards():
        try:
            await interpreter.undo(done)
            teller.compensated.append(done.step.pointer)
        except Problem as error:
            failures.append(f"not undone: {error}")
    return failures


class _Teller:
    """Publishes the outcome; waits for Kafka as long as it takes, since an outcome must not be lost."""

    def __init__(self, run: RunInput, procedure: str, version: str) -> None:
        self._run = run
        self._procedure = procedure
        self._version = version
        self.compensated: list[str] = []

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
            started_at=info.start_time,
            ended_at=workflow.now(),
        )
        await workflow.execute_activity(
            PUBLISH_OUTCOME,
            outcome,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
            summary=status,
        )


def _descriptor(run: RunInput) -> dict[str, Any]:
    info = workflow.info()
    started = info.start_time
    return {
        "id": info.workflow_id,
        "definition": run.document,
        "input": run.input,
        "startedAt": {
            "iso8601": started.isoformat(),
            "epoch": {"seconds": int(started.timestamp()), "milliseconds": int(started.timestamp() * 1000)},
        },
    }
