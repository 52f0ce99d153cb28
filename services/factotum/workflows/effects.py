"""The world of a run on Temporal: calls are activities, waits are timers, the clock is the workflow's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError

from factotum.workflows import problem
from factotum.workflows.contract import RunInput, ToolCall
from factotum.workflows.problem import Problem
from factotum.workflows.step import Step

# How soon a dead worker is noticed: the activity is then given to another.
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# What a call may take beyond the tool's own timeout: the way to the executor, the ledger.
MARGIN = timedelta(seconds=30)
DEFAULT_TOOL_TIMEOUT_SECONDS = 60.0
# Type of the error that says the executor itself did not answer: never the tool's, so always retried.
EXECUTOR_UNAVAILABLE = "executor-unavailable"
# Of the retryable kinds of tool error, those that a `try` is shown at once. An ambiguous effect is not
# among them: only a person can settle it, and trying again is how the run waits for that.
SHOWN_TO_TRY = ["unavailable", "rate_limited"]


class TemporalEffects:
    """`interpreter.Effects`, to be used inside a workflow only."""

    def __init__(self, run: RunInput, procedure: str) -> None:
        self._run = run
        self._procedure = procedure

    async def call(self, step: Step) -> Any:
        pin = self._run.tools.get(step.tool)
        timeout = timedelta(seconds=pin.timeout_seconds if pin else DEFAULT_TOOL_TIMEOUT_SECONDS)
        run_id = workflow.info().workflow_id
        key = f"{run_id}:{step.pointer}:{step.iteration}{':undo' if step.compensation else ''}"
        try:
            return await workflow.execute_activity(
                step.tool,
                ToolCall(
                    tenant=self._run.tenant,
                    tool=step.tool,
                    tool_version=pin.version if pin else "",
                    arguments=step.arguments,
                    idempotency_key=key,
                    run_id=run_id,
                    step=step.pointer,
                    iteration=step.iteration,
                    compensation=step.compensation,
                    settle=step.settle,
                    procedure=self._procedure,
                    event=self._run.event,
                ),
                start_to_close_timeout=timeout + MARGIN,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(milliseconds=200),
                    maximum_interval=timedelta(seconds=10),
                    non_retryable_error_types=[] if step.patient else SHOWN_TO_TRY,
                ),
                # A call that is under way ends by itself: what it did must be known to be undone.
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=step.summary or None,
            )
        except ActivityError as error:
            raise _translated(error, step) from error

    async def sleep(self, seconds: float) -> None:
        await workflow.sleep(seconds)


def _translated(error: ActivityError, step: Step) -> BaseException:
    cause = error.cause
    if isinstance(cause, CancelledError):
        return asyncio.CancelledError()
    if isinstance(cause, ApplicationError):
        # The executor says whether the effect may stand; an error that is not its own cannot know.
        effect_possible = bool(cause.details[0]) if cause.details else True
        found = problem.of_tool_error(cause.type or "failed", cause.message, effect_possible=effect_possible)
    elif isinstance(cause, TimeoutError):
        detail = f"{step.tool} did not end in time"
        found = Problem(problem.TIMEOUT, 408, "timeout", detail, effect_possible=True)
    else:
        found = Problem(problem.RUNTIME, 500, "failed", str(cause or error), effect_possible=True)
    return found.at(step.pointer)
