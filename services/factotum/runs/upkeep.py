"""The schedule on which the memory is kept in order."""

from __future__ import annotations

from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from factotum.workflows.upkeep import CONSOLIDATION

logger = structlog.get_logger(__name__)


async def schedule_consolidation(client: Client, *, task_queue: str, every: timedelta) -> None:
    """From now on it is done so often; never for a length of zero. A schedule that a person has paused stays so.

    Several workers may do it at one time. A server that takes no schedule is warned about: runs do not depend on it.
    """
    try:
        if every:
            await _put(client, _schedule(task_queue, every))
        else:
            await client.get_schedule_handle(CONSOLIDATION).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            logger.warning("the memory is not consolidated by a schedule", reason=error.message)


async def _put(client: Client, wanted: Schedule) -> None:
    try:
        await client.create_schedule(CONSOLIDATION, wanted)
    except ScheduleAlreadyRunningError:

        def update(found: ScheduleUpdateInput) -> ScheduleUpdate:
            wanted.state = found.description.schedule.state
            return ScheduleUpdate(wanted)

        await client.get_schedule_handle(CONSOLIDATION).update(update)


def _schedule(task_queue: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(CONSOLIDATION, id=CONSOLIDATION, task_queue=task_queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=1)),
    )
