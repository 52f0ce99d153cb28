"""Activities that the worker carries out by itself, within a workflow task; see decision 0022.

The server hears of one only with its result: nothing is kept of its input, and a worker that dies does it
again. So it must be short, and doing it twice must be the same as doing it once. Whatever it cannot do at
once is left to an activity of the usual kind, which waits in Temporal for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, FailureError

# The results of a workflow task travel in one message, of which a server takes 4 MB: no more of them than
# this, none larger than `LARGEST_RESULT_BYTES`.
MOST_IN_A_ROW = 50
LARGEST_RESULT_BYTES = 64 * 1024
# Type of the error of a result that is larger.
TOO_LARGE = "too-large-for-here"


class NotHere(Exception):
    """To be done by an activity of the usual kind, after `delay`."""

    def __init__(self, delay: timedelta) -> None:
        super().__init__(f"after {delay}")
        self.delay = delay


async def tried_here(
    activity: str,
    argument: Any,
    *,
    seconds: float,
    summary: str = "",
    activity_id: str | None = None,
    final: Sequence[str] = (),
) -> Any:
    """What the activity gives, tried once for so many seconds.

    Raises `NotHere`, or the failure that another try would not mend: a cancellation, an error that is not to
    be retried or has one of the types `final`.
    """
    limit = timedelta(seconds=seconds)
    try:
        return await workflow.execute_local_activity(
            activity,
            argument,
            schedule_to_close_timeout=limit,
            start_to_close_timeout=limit,
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            activity_id=activity_id,
            summary=summary or None,
        )
    except FailureError as error:
        cause = cause_of(error)
        if isinstance(cause, CancelledError):
            raise
        if not isinstance(cause, ApplicationError):
            raise NotHere(timedelta()) from error
        if cause.non_retryable or cause.type in final:
            raise
        raise NotHere(cause.next_retry_delay or timedelta()) from error


def cause_of(error: FailureError) -> BaseException:
    """What went wrong in an activity. Unlike another's, a local one's failure is not always wrapped."""
    return (error.cause or error) if isinstance(error, ActivityError) else error
