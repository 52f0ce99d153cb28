"""The world of a run on Temporal: calls are activities, waits are timers, the clock is the workflow's."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TimeoutError,
)

from factotum.procedures.cost import CHARACTERS
from factotum.procedures.expressions import ExpressionError
from factotum.procedures.program import is_at_most
from factotum.workflows import problem, waiting
from factotum.workflows.compensation import Done, Doubt
from factotum.workflows.contract import (
    EVALUATE,
    EXPRESSION_FAILED,
    PUBLISH_EVENT,
    Emission,
    Evaluation,
    NestedResult,
    RunInput,
    ToolCall,
    ToolPin,
    local_call_id,
)
from factotum.workflows.local import LARGEST_RESULT_BYTES, MOST_IN_A_ROW, NotHere, cause_of, tried_here
from factotum.workflows.problem import Problem
from factotum.workflows.step import Step
from factotum.workflows.world import (
    FIRST_INTERVAL,
    LONGEST_INTERVAL,
    MAX_DEPTH,
    SHOWN_TO_TRY,
    Child,
    ChildResult,
)

# How soon a dead worker is noticed: the activity is then given to another.
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# What a call may take beyond the tool's own timeout: the way to the executor, the ledger.
MARGIN = timedelta(seconds=30)
DEFAULT_TOOL_TIMEOUT_SECONDS = 60.0
# Type of the error that says the executor itself did not answer: never the tool's, so always retried.
EXECUTOR_UNAVAILABLE = "executor-unavailable"
# One attempt, the wait for a free process included; the evaluation itself ends within seconds.
EVALUATION_TIMEOUT = timedelta(minutes=2)
# A worker whose processes are taken by others' expressions is no fault of this one.
EVALUATION_LIMIT = timedelta(hours=1)
# Of a value of so many bytes, as the language counts.
LARGEST_SIZE = int(LARGEST_RESULT_BYTES / CHARACTERS)
# Temporal rounds it up, to a second at most.
NEXT_TASK = timedelta(milliseconds=1)
# What a tool of this effect class does is the same however often it is done.
WITHOUT_EFFECT = "none"
# A tool that may take longer is not called within a workflow task.
LONGEST_HERE_SECONDS = 10.0


class TemporalEffects:
    """`world.Effects`, to be used inside a workflow only."""

    def __init__(self, run: RunInput, procedure: str) -> None:
        self._run = run
        self._procedure = procedure
        # Calls and nested runs that this execution has begun.
        self.begun = 0
        self._here_in_a_row = 0

    async def call(self, step: Step) -> Any:
        self.begun += 1
        pin = self._run.tools.get(step.tool)
        try:
            if self._is_light(step, pin):
                self._here_in_a_row += 1
                with suppress(NotHere):
                    return await self._call_here(step)
            try:
                return await self._call(step, pin)
            finally:
                # What the server tells comes with the next workflow task.
                self._here_in_a_row = 0
        except FailureError as error:
            raise _translated(cause_of(error), step) from error

    def _is_light(self, step: Step, pin: ToolPin | None) -> bool:
        """Short, and the same however often it is done: not worth a way to the server and back."""
        return (
            pin is not None
            and self._run.limits.here_seconds > 0
            and pin.effect == WITHOUT_EFFECT
            and pin.timeout_seconds <= LONGEST_HERE_SECONDS
            and not step.compensation
            and not step.settle
            and self._here_in_a_row < MOST_IN_A_ROW
        )

    async def _call_here(self, step: Step) -> Any:
        try:
            return await tried_here(
                step.tool,
                self.tool_call(step),
                seconds=self._run.limits.here_seconds,
                activity_id=local_call_id(step.pointer, step.iteration),
                summary=step.summary,
                final=[] if step.patient else list(SHOWN_TO_TRY),
            )
        except NotHere as later:
            if later.delay:
                await workflow.sleep(later.delay)
            raise

    async def _call(self, step: Step, pin: ToolPin | None) -> Any:
        timeout = timedelta(seconds=pin.timeout_seconds if pin else DEFAULT_TOOL_TIMEOUT_SECONDS)
        limit = timedelta(seconds=self._run.limits.compensation_seconds) if step.compensation else None
        return await workflow.execute_activity(
            step.tool,
            self.tool_call(step),
            start_to_close_timeout=timeout + MARGIN,
            schedule_to_close_timeout=limit,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=FIRST_INTERVAL),
                maximum_interval=timedelta(seconds=LONGEST_INTERVAL),
                non_retryable_error_types=[] if step.patient else list(SHOWN_TO_TRY),
            ),
            # A call that is under way is asked to end and awaited: what it did must be known to be undone.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=step.summary or None,
        )

    def tool_call(self, step: Step) -> ToolCall:
        """What the executor is asked for."""
        pin = self._run.tools.get(step.tool)
        return ToolCall(
            tenant=self._run.tenant,
            tool=step.tool,
            tool_version=pin.version if pin else "",
            arguments=step.arguments,
            idempotency_key=idempotency_key(step),
            run_id=step.run_id or workflow.info().workflow_id,
            step=step.pointer,
            iteration=step.iteration,
            compensation=step.compensation,
            settle=step.settle,
            procedure=self._procedure,
            event=self._run.event,
            secrets=step.secrets,
            approval=step.approval,
            user=self._run.user,
        )

    async def sleep(self, seconds: float) -> None:
        await workflow.sleep(seconds)

    async def rest(self) -> None:
        # The shortest of timers takes a second; this does not leave the worker.
        await self._evaluate("null", None, {})

    def now(self) -> datetime:
        return workflow.now()

    def random(self) -> float:
        return workflow.random().random()

    async def evaluate(self, program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
        result = await self._evaluate(program, value, arguments)
        self._here_in_a_row += 1
        if self._here_in_a_row >= MOST_IN_A_ROW or not is_at_most(result, LARGEST_SIZE):
            # What comes next has a workflow task of its own, and its results a message of their own.
            await workflow.sleep(NEXT_TASK)
            self._here_in_a_row = 0
        return result

    async def _evaluate(self, program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
        try:
            return await workflow.execute_local_activity(
                EVALUATE,
                Evaluation(program=program, value=value, arguments=dict(arguments)),
                start_to_close_timeout=EVALUATION_TIMEOUT,
                schedule_to_close_timeout=EVALUATION_LIMIT,
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=5)
                ),
            )
        except FailureError as error:
            cause = cause_of(error)
            if isinstance(cause, CancelledError):
                raise asyncio.CancelledError from error
            if isinstance(cause, ApplicationError) and cause.type == EXPRESSION_FAILED:
                raise ExpressionError(cause.message) from error
            detail = f"{program!r} could not be evaluated within {EVALUATION_LIMIT}: {cause}"
            raise Problem(problem.RUNTIME, 503, "unavailable", detail) from error

    async def emit(self, event: dict[str, Any], summary: str) -> None:
        try:
            await workflow.execute_activity(
                PUBLISH_EVENT,
                Emission(event=event),
                start_to_close_timeout=timedelta(seconds=60),
                retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=summary or str(event.get("type", "")),
            )
        except ActivityError as error:
            cause = error.cause
            if isinstance(cause, CancelledError):
                raise asyncio.CancelledError from error
            kind = cause.type if isinstance(cause, ApplicationError) and cause.type else "failed"
            raise problem.of_tool_error(kind, str(getattr(cause, "message", cause))) from error

    async def run_child(self, child: Child) -> ChildResult:
        if self._run.depth >= MAX_DEPTH:
            detail = f"procedures run each other more than {MAX_DEPTH} deep"
            raise Problem(problem.RUNTIME, 500, "nested too deep", detail, child.pointer)
        run_id = f"{workflow.info().workflow_id}.{_short(child)}"
        given = self._run.model_copy(
            update={
                "document": child.document,
                "input": child.input,
                "depth": self._run.depth + 1,
                "resume": None,
                "first_started_at": None,
                "nested": child.wait,
                "steps_before": 0,
            }
        )
        self.begun += 1
        policy = workflow.ParentClosePolicy.REQUEST_CANCEL if child.wait else workflow.ParentClosePolicy.ABANDON
        try:
            handle = await workflow.start_child_workflow(
                child.document["document"]["name"],
                given,
                id=run_id,
                parent_close_policy=policy,
                cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                search_attributes=waiting.nested(child.reference.partition(":")[0]),
                memo={
                    "procedure": child.reference.partition(":")[0],
                    # Where in the run around it: what is read back of that one has nothing else to go by.
                    "step": child.pointer,
                    "iteration": child.iteration,
                    "reference": child.reference,
                    "procedure_version": child.document["document"]["version"],
                    "trace_id": str(workflow.memo_value("trace_id", "")),
                },
                static_summary=child.summary or child.reference,
            )
            if not child.wait:
                return ChildResult(run_id, None, [])
            result = NestedResult.model_validate(await handle)
        except ChildWorkflowError as error:
            if isinstance(error.cause, CancelledError):
                raise asyncio.CancelledError from error
            raise _of_child(error, child) from error
        return ChildResult(
            run_id,
            result.output,
            [Done.model_validate(each) for each in result.done],
            [Doubt.model_validate(each) for each in result.doubts],
        )

    def should_move(self) -> bool:
        info = workflow.info()
        limit = self._run.limits.history_events
        return (
            info.is_continue_as_new_suggested()
            or (0 < limit < info.get_current_history_length())
            # A newer interpreter goes on with it, so that this one's worker need not be kept for it.
            or info.is_target_worker_deployment_version_changed()
        )


def idempotency_key(step: Step) -> str:
    """The key of a step's effect; see decision 0006."""
    run_id = step.run_id or workflow.info().workflow_id
    return f"{run_id}:{step.pointer}:{step.iteration}{':undo' if step.compensation else ''}"


def _short(child: Child) -> str:
    """What tells a nested run from the others of its parent: an id may be 200 characters, a pointer is longer."""
    return hashlib.sha256(f"{child.pointer}|{child.iteration}|{child.attempt or ''}".encode()).hexdigest()[:12]


def _of_child(error: ChildWorkflowError, child: Child) -> Problem:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        found = cause.details[0]
        detail = str(found.get("detail") or cause.message)
        type_, status = str(found.get("type", problem.RUNTIME)), int(found.get("status", 500))
        return Problem(type_, status, str(found.get("title", "")), detail, child.pointer)
    return Problem(problem.RUNTIME, 500, "failed", f"{child.reference}: {cause or error}", child.pointer)


def _translated(cause: BaseException, step: Step) -> BaseException:
    if isinstance(cause, CancelledError):
        return asyncio.CancelledError()
    if isinstance(cause, ApplicationError):
        # The executor says whether the effect may stand; an error that is not its own cannot know.
        effect_possible = bool(cause.details[0]) if cause.details else True
        status = cause.details[1] if len(cause.details) > 1 else None
        found = problem.of_tool_error(
            cause.type or "failed", cause.message, effect_possible=effect_possible, status=status
        )
    elif isinstance(cause, TimeoutError):
        # What was tried again until time ran out failed for a reason of its own.
        why = f": {cause.cause.message}" if isinstance(cause.cause, ApplicationError) else ""
        detail = f"{step.tool} did not end in time{why}"
        found = Problem(problem.TIMEOUT, 408, "timeout", detail, effect_possible=True)
    else:
        found = Problem(problem.RUNTIME, 500, "failed", str(cause), effect_possible=True)
    return found.at(step.pointer)
