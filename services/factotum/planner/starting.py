"""Starting a run of a plan, so that it misses no event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from factotum.planner.library import Library
from factotum.planner.planning import Plan
from factotum.planner.subscriptions import Subscriptions
from factotum.procedures.event_matching import listened_to
from factotum.runs.client import Runs
from factotum.runs.errors import RunRefused


class Starting:
    """Starts runs. The same plan again changes nothing."""

    def __init__(
        self, *, library: Library, subscriptions: Subscriptions, runs: Runs, now: Callable[[], datetime]
    ) -> None:
        self._library = library
        self._subscriptions = subscriptions
        self._runs = runs
        self._now = now

    async def start(self, made: Plan) -> bool:
        """False if the run was started before, whatever became of it.

        A run that listens is subscribed before it is started: what comes before its first task is kept
        for it too. Raises `RunRefused`, `StoreUnavailable`, `TemporalUnavailable`.
        """
        tenant = made.run.tenant
        filters = listened_to([made.run.document, made.run.functions])
        await self._library.mark_used(tenant, made.uses, self._now())
        if filters:
            await self._subscriptions.subscribe_before_start(tenant, made.run_id, filters)
        try:
            return await self._runs.start(made.run_id, made.run, made.source.document)
        except RunRefused:
            if filters:
                await self._subscriptions.unsubscribe(tenant, made.run_id)
            raise
