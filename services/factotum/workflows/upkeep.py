"""The workflow behind the schedule that keeps the memory in order."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from factotum.workflows.contract import CONSOLIDATE_MEMORY, Consolidated

CONSOLIDATION = "factotum-consolidation"

# One consolidation of all tenants, and the longest that it is tried again while the memory is away: by then the next
# one is due.
ONE_TRY = timedelta(hours=1)
ALL_TRIES = timedelta(hours=12)


@workflow.defn(name=CONSOLIDATION)
class Consolidation:
    """Asks the memory once. It has no search attributes, so that it is listed as nobody's run."""

    @workflow.run
    async def run(self) -> Consolidated:
        done: Consolidated = await workflow.execute_activity(
            CONSOLIDATE_MEMORY,
            result_type=Consolidated,
            start_to_close_timeout=ONE_TRY,
            schedule_to_close_timeout=ALL_TRIES,
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=5)),
            summary="fold what repeats itself, let the expired go",
        )
        return done
