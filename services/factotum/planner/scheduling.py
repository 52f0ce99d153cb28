"""Keeps the clock's runs in step with the library: what is timed is scheduled, what is not is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime

import structlog

from factotum.planner.errors import CatalogUnavailable, StoreUnavailable
from factotum.planner.library import Library
from factotum.planner.permission import Permitted
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source
from factotum.runs.errors import RunRefused, TemporalUnavailable
from factotum.runs.schedules import Schedules, is_timed

logger = structlog.get_logger(__name__)

# A schedule starts what was prepared for it: it is prepared anew so often, for tools of other versions.
SECONDS_BETWEEN = 300.0
RETRY_SECONDS = 5.0


class Scheduling:
    """Puts schedules in place, and takes them away.

    Args:
        tenants: those for whom the folders' timed procedures run; what a tenant registered runs for it alone.
    """

    def __init__(
        self,
        *,
        library: Library,
        preparation: Permitted,
        schedules: Schedules,
        tenants: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._library = library
        self._preparation = preparation
        self._schedules = schedules
        self._tenants = frozenset(tenants)
        self._now = now

    async def run(self, stop: asyncio.Event) -> None:
        """Reconciles at once and every five minutes, until `stop` is set; waits while a system is away."""
        while not stop.is_set():
            pause = SECONDS_BETWEEN
            try:
                await self.reconcile()
            except (CatalogUnavailable, StoreUnavailable, TemporalUnavailable) as error:
                logger.warning("schedules are not reconciled yet", reason=str(error))
                pause = RETRY_SECONDS
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                continue

    async def reconcile(self) -> None:
        """Raises `CatalogUnavailable`, `StoreUnavailable`, `TemporalUnavailable`: some may be in place then."""
        wanted = []
        for tenant in sorted({*self._tenants, *await self._library.tenants()}):
            for kept in await self._library.newest_kept(tenant):
                of_tenant = kept.tenant == tenant or tenant in self._tenants
                if of_tenant and is_timed(kept.source.document) and await self._put(tenant, kept.source):
                    wanted.append((tenant, kept.source.document.full_name))
        for gone in await self._schedules.prune(wanted):
            logger.info("schedule removed", schedule=gone)

    async def follow(self, tenant: str, procedure: str) -> None:
        """After a version was registered: the newest is scheduled, or nothing of this procedure.

        Raises as `reconcile`.
        """
        kept = await self._library.find(tenant, procedure)
        of_tenant = kept.tenant == tenant or tenant in self._tenants
        if not (of_tenant and is_timed(kept.source.document) and await self._put(tenant, kept.source)):
            await self._schedules.remove(tenant, procedure)

    async def _put(self, tenant: str, source: Source) -> bool:
        """False, and an error in the log, for what may not run: it is not scheduled."""
        name, version = source.document.full_name, source.document.document.version
        try:
            prepared = await self._preparation.prepare(tenant, source, acting_for="")
            await self._library.mark_used(tenant, prepared.uses, self._now())
            await self._schedules.put(prepared.run(tenant=tenant, given=None), prepared.source.document)
        except (FaultyDocument, RunRefused) as error:
            logger.error("not scheduled", tenant=tenant, procedure=name, version=version, reason=str(error))
            return False
        return True
