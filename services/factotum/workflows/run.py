"""The workflow: one run of one document.

Dynamic, so that in the Temporal UI a run's Workflow Type is its procedure's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from factotum.procedures.fault import FaultyDocument
from factotum.procedures.known import DOCUMENTS
from factotum.runs import attributes
from factotum.workflows import problem, waiting
from factotum.workflows.approvals import NotDecidable
from factotum.workflows.chronicle import Chronicle
from factotum.workflows.contract import (
    APPROVALS_QUERY,
    DECIDE_UPDATE,
    EVENT_SIGNAL,
    TASKS_QUERY,
    Decision,
    Ending,
    EventSignal,
    NestedResult,
    PendingApproval,
    PersonTask,
    RunInput,
)
from factotum.workflows.effects import TemporalEffects
from factotum.workflows.hearing import Hearing
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.outcome import Teller, undo_something
from factotum.workflows.problem import Problem
from factotum.workflows.scope import Aborted
from factotum.workflows.shaping import moment

T = TypeVar("T")


@workflow.defn(dynamic=True)
class Run:
    """Interprets the document, undoes what was done if it fails or is cancelled, tells the outcome."""

    def __init__(self) -> None:
        self._interpreter: Interpreter | None = None
        self._chronicle = Chronicle(workflow.now)
        self._ending: Ending | None = None
        # What came before the first line of `run`.
        self._early: list[dict[str, Any]] = []

    @workflow.run
    async def run(self, arguments: Sequence[RawValue]) -> Any:
        run = workflow.payload_converter().from_payload(arguments[0].payload, RunInput)
        chronicle = Chronicle(workflow.now, (run.resume or {}).get("chronicle"))
        try:
            known = DOCUMENTS.of(run.document, run.functions)
        except FaultyDocument as error:
            await _to_its_end(Teller(run, None, chronicle).ended(Ending(status="failed", reason=str(error))))
            raise ApplicationError(str(error), type="faulty-document", non_retryable=True) from error
        document = known.document
        effects = TemporalEffects(run, document.full_name)
        interpreter = Interpreter(
            document,
            effects,
            descriptor=_descriptor(run),
            raw=run.document,
            tenant=run.tenant,
            hops=run.hops,
            user=run.user,
            nonce=workflow.uuid4().hex,
            documents=run.documents,
            functions=run.functions,
            saved=run.resume,
        )
        interpreter.watch(chronicle.take)
        interpreter.approvals.changed = waiting.show_approvals
        self._interpreter = interpreter
        self._chronicle = chronicle
        teller = Teller(run, document, chronicle)
        for event in self._early:
            interpreter.offer(event)
        hearing = Hearing(run, known.filters)
        if run.ending is not None:
            await _to_its_end(self._end(interpreter, effects, teller, hearing, run, run.ending))
        work = asyncio.ensure_future(self._work(interpreter, effects, hearing, run))
        try:
            output = await asyncio.shield(work)
        except Problem as error:
            ending = Ending(status="failed", reason=str(error), error=error.as_json())
            await _to_its_end(self._end(interpreter, effects, teller, hearing, run, ending))
        except asyncio.CancelledError:
            interpreter.abort()
            work.cancel()
            await _to_its_end(_settled(work))
            ending = Ending(status="cancelled", reason="cancelled")
            await _to_its_end(self._end(interpreter, effects, teller, hearing, run, ending))
        await _to_its_end(_complete(teller, hearing, output))
        if run.nested:
            done = [each.model_dump(mode="json") for each in reversed(interpreter.journal.backwards())]
            doubts = [each.model_dump(mode="json") for each in reversed(interpreter.journal.doubts())]
            return NestedResult(output=output, done=done, doubts=doubts)
        return output

    async def _end(
        self,
        interpreter: Interpreter,
        effects: TemporalEffects,
        teller: Teller,
        hearing: Hearing,
        run: RunInput,
        ending: Ending,
    ) -> NoReturn:
        """Undoes what was done, tells the outcome, and ends the run as failed or cancelled."""
        interpreter.ending = True
        left: Ending | None = ending
        while left is not None:
            self._ending = ending = left
            waiting.show(attributes.TASK if ending.tasks else "")
            if effects.should_move():
                # What is too large to move is undone here, however long the history grows.
                with suppress(Problem):
                    _move(run, interpreter, effects, self._chronicle, ending)
            left = await undo_something(interpreter, ending)
        await teller.ended(ending)
        await hearing.end()
        if ending.status == "cancelled" and run.ending is None:
            raise asyncio.CancelledError
        # The request to cancel was an earlier execution's, and Temporal takes no run for cancelled without one:
        # a run that moved while it was undoing is a failed one there, of the type `cancelled`.
        error = ending.error or {}
        title = str(error.get("title", ending.status))
        raise ApplicationError(ending.failure, error, type=title, non_retryable=True)

    async def _work(self, interpreter: Interpreter, effects: TemporalEffects, hearing: Hearing, run: RunInput) -> Any:
        """The run's output; or goes on in another execution once the history has grown long."""
        await hearing.begin()
        work = asyncio.ensure_future(interpreter.run(run.input))
        try:
            # A condition is looked at only when no coroutine can go on, which is what a snapshot needs.
            await workflow.wait_condition(lambda: work.done() or interpreter.gate.quiet)
        except asyncio.CancelledError:
            work.cancel()
            await _settled(work)
            raise
        if work.done():
            return work.result()
        await workflow.wait_condition(workflow.all_handlers_finished)
        try:
            return _move(run, interpreter, effects, self._chronicle, None)
        except Problem:
            interpreter.gate.closed = False
            interpreter.abort()
            work.cancel()
            await _settled(work)
            raise

    @workflow.signal(name=EVENT_SIGNAL)
    def event(self, signal: EventSignal) -> None:
        if self._interpreter is None:
            self._early.append(signal.event)
        else:
            self._interpreter.offer(signal.event)

    @workflow.update(name=DECIDE_UPDATE)
    def decide(self, decision: Decision) -> bool:
        """Whether the call is settled by the decision."""
        return self._interpreter is not None and self._interpreter.decide(decision)

    @decide.validator
    def _decide(self, decision: Decision) -> None:
        try:
            if self._interpreter is None:
                raise NotDecidable("not_waiting", "the run has only begun")
            self._interpreter.approvals.check(decision)
        except NotDecidable as error:
            raise ApplicationError(str(error), type=error.reason, non_retryable=True) from error

    @workflow.query(name=APPROVALS_QUERY)
    def approvals(self) -> list[PendingApproval]:
        return [] if self._interpreter is None else self._interpreter.approvals.pending

    @workflow.query(name=TASKS_QUERY)
    def tasks(self) -> list[PersonTask]:
        return [] if self._ending is None else self._ending.tasks


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


async def _complete(teller: Teller, hearing: Hearing, output: Any) -> None:
    await teller.completed(output)
    await hearing.end()


def _move(
    run: RunInput, interpreter: Interpreter, effects: TemporalEffects, chronicle: Chronicle, ending: Ending | None
) -> NoReturn:
    """Goes on in another execution. Raises `Problem` if the run has more to carry than Temporal takes, which
    would fail the workflow task for ever."""
    started = run.first_started_at or _started()
    where = {
        "resume": {**interpreter.as_json(), "chronicle": chronicle.as_json()},
        "ending": ending,
        "first_started_at": started,
        "steps_before": run.steps_before + effects.begun,
    }
    # Of the executions of a run only the last is listed: the memo tells when the first began.
    memo = {**workflow.memo(), "started_at": started.isoformat()}
    moved = run.model_copy(update=where)
    most = run.limits.moved_bytes
    if most and (size := workflow.payload_converter().to_payload(moved).ByteSize()) > most:
        detail = (
            f"the run carries {size} bytes of data, of which Temporal takes {most} when it goes on in another "
            "execution: configure the claim folder (FACTOTUM_TEMPORAL__CLAIMS__FOLDER) of planner and workers, or "
            "keep less data in the run"
        )
        raise Problem(problem.RUNTIME, 500, "too large", detail)
    workflow.continue_as_new(
        moved,
        memo=memo,
        # On the interpreter that is current by then; see decision 0023.
        initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
    )


def _started() -> datetime:
    return workflow.info().start_time


def _descriptor(run: RunInput) -> dict[str, Any]:
    started = run.first_started_at or _started()
    return {
        "id": workflow.info().workflow_id,
        "definition": run.document,
        "input": run.input,
        "startedAt": moment(started.timestamp()),
    }
