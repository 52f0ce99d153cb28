"""Bringing events to the runs that listen, each run's in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import stamina
import structlog

from factotum.events.envelope import Event
from factotum.planner.errors import StoreUnavailable
from factotum.planner.subscriptions import Subscriptions
from factotum.runs.client import Runs
from factotum.runs.errors import RunNotFound, RunRefused, TemporalUnavailable
from factotum.workflows.contract import EventSignal

logger = structlog.get_logger(__name__)

LONGEST_WAIT_SECONDS = 5.0


class _NotStartedYet(Exception):
    """The run is being started: wait for it."""


# Waited for in the run's queue, so that no later event overtakes.
_PASSING = (TemporalUnavailable, StoreUnavailable, _NotStartedYet)

Delivery = asyncio.Task[str | None]


class Signalling:
    """Signals events to runs, at least once, in the order in which `bring` was called."""

    def __init__(self, *, subscriptions: Subscriptions, runs: Runs) -> None:
        self._subscriptions = subscriptions
        self._runs = runs
        # The last delivery of each run that has one under way.
        self._last: dict[str, Delivery] = {}

    def bring(self, event: Event, attributes: Mapping[str, Any], *, without: Collection[str] = ()) -> list[Delivery]:
        """A delivery for each run that listens, already in the run's queue; `without` names runs that do not hear it.

        A delivery is done when the run has the event, or is gone: then its subscription is ended. Its result
        is why the run can never have the event; None where it has. Raises `StoreUnavailable`.
        """
        signal = EventSignal(event=dict(attributes))
        deliveries = []
        for run_id in self._subscriptions.listening(event.tenant, attributes):
            if run_id not in without:
                delivery = asyncio.ensure_future(self._deliver(event.tenant, run_id, signal, self._last.get(run_id)))
                self._last[run_id] = delivery
                delivery.add_done_callback(lambda done, run_id=run_id: self._forget(run_id, done))  # type: ignore[misc]
                deliveries.append(delivery)
        return deliveries

    def _forget(self, run_id: str, done: Delivery) -> None:
        if self._last.get(run_id) is done:
            del self._last[run_id]

    async def _deliver(self, tenant: str, run_id: str, signal: EventSignal, before: Delivery | None) -> str | None:
        if before is not None:
            await asyncio.wait({before})
        async for attempt in stamina.retry_context(
            on=_PASSING, attempts=None, timeout=None, wait_initial=0.1, wait_max=LONGEST_WAIT_SECONDS
        ):
            with attempt:
                if not self._subscriptions.hears(tenant, run_id):
                    return None
                return await self._signal(tenant, run_id, signal)
        raise AssertionError("attempts do not end")

    async def _signal(self, tenant: str, run_id: str, signal: EventSignal) -> str | None:
        try:
            await self._runs.signal(tenant, run_id, signal)
        except RunNotFound:
            if self._subscriptions.is_starting(tenant, run_id):
                raise _NotStartedYet(run_id) from None
            logger.info("a run that listened is gone", run_id=run_id)
            await self._subscriptions.unsubscribe(tenant, run_id)
        except RunRefused as error:
            return f"the run {run_id} cannot hear of it: {error}"
        return None
