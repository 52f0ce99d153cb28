"""The memory is told which procedures each tenant has, so that they can be searched for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from factotum.events.offering import Offering, keep_telling
from factotum.events.producer import EventProducer
from factotum.events.types import ProcedureData
from factotum.planner.errors import StoreUnavailable
from factotum.planner.library import Library
from factotum.planner.notes import SOURCE
from factotum.procedures.parse import Source
from factotum.procedures.protocols import tool_of
from factotum.procedures.tasks import CallTask, walk

# Between two looks.
LOOK_SECONDS = 10.0
# A memory that lost what it was told, or was not there, gets it after so many looks.
TELL_AGAIN_AFTER = 360
MOST_NAMES = 50
LONGEST_TEXT = 4_000


class ProcedureOffering:
    """Looks every few seconds whether a tenant's procedures are others than those that were told.

    Told are the tenants that registered procedures, those of the settings, and those that asked the library since
    the process began: which others there are, the planner does not know.
    """

    def __init__(
        self, library: Library, producer: EventProducer, tenants: Sequence[str], now: Callable[[], datetime]
    ) -> None:
        self._library = library
        self._tenants = frozenset(tenants)
        self._offering = Offering(producer, kind="procedure", source=SOURCE, now=now)
        self._told: dict[str, list[Source]] = {}
        self._looks = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Nothing waits for it, and Kafka may be away."""
        await keep_telling(self.tell, stop, seconds=LOOK_SECONDS, passing=(StoreUnavailable,))

    async def tell(self) -> None:
        """Tells what has changed, once an hour everything. Raises `BrokerUnavailable`, `EventTooLarge`,
        `StoreUnavailable`."""
        self._looks += 1
        if self._looks % TELL_AGAIN_AFTER == 0:
            self._offering.forget()
            self._told.clear()
        for tenant in sorted(self._tenants | self._library.asked_for | set(await self._library.tenants())):
            found = await self._library.newest(tenant)
            before = self._told.get(tenant)
            if before is not None and len(before) == len(found) and all(map(lambda a, b: a is b, before, found)):
                continue
            offered = {source.document.full_name: procedure_data(source) for source in found}
            await self._offering.tell(tenant, offered)
            self._told[tenant] = found


def procedure_data(source: Source) -> ProcedureData:
    """What is told of a procedure: what it is for, what starts it and what it does it with."""
    document = source.document
    schedule = document.schedule
    filters = schedule.on.filters if schedule is not None and schedule.on is not None else ()
    types = dict.fromkeys(str(each.with_["type"]) for each in filters if "type" in each.with_)
    tasks = [named.task for _, named in walk(document.do)]
    calls = [task for task in tasks if not (isinstance(task, CallTask) and task.call in document.use.functions)]
    tools = dict.fromkeys(tool for task in calls if (tool := tool_of(task)) is not None)
    return ProcedureData(
        name=document.full_name,
        version=document.document.version,
        title=document.document.title[:LONGEST_TEXT],
        summary=document.document.summary[:LONGEST_TEXT],
        triggers=[text[:200] for text in types][:MOST_NAMES],
        tools=list(tools)[:MOST_NAMES],
    )
