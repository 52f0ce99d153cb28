"""A run hears of events from its first moment to its last, if its document listens to any."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

from factotum.workflows.contract import SUBSCRIBE, UNSUBSCRIBE, RunInput, Subscription

_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
_TIMEOUT = timedelta(seconds=30)


class Hearing:
    """The run's subscription.

    Args:
        filters: what is known beforehand of the events wanted; none: the document listens to nothing.
    """

    def __init__(self, run: RunInput, filters: list[dict[str, Any]]) -> None:
        self._run = run
        self._filters = filters

    async def begin(self) -> None:
        """Returns once every event that comes from now on is kept for the run.

        Before the first task: an event that comes before its listener is not lost.
        """
        if self._filters and self._run.resume is None:
            await self._tell(SUBSCRIBE)

    async def end(self) -> None:
        """Nothing is kept for the run any more."""
        if self._filters:
            await self._tell(UNSUBSCRIBE)

    async def _tell(self, activity: str) -> None:
        await workflow.execute_activity(
            activity,
            Subscription(tenant=self._run.tenant, run_id=workflow.info().workflow_id, filters=self._filters),
            start_to_close_timeout=_TIMEOUT,
            retry_policy=_RETRY,
        )
