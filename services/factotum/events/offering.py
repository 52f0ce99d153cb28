"""What a service offers its tenants, told on Kafka whenever it changes, so that it can be searched for."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Literal

import structlog

from factotum.events.envelope import Event
from factotum.events.errors import BrokerUnavailable, EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.topics import OBSERVATIONS
from factotum.events.types import OFFERED_TYPE, PROCEDURE_TYPE, TOOL_TYPE, OfferedData, ProcedureData, ToolData

log = structlog.get_logger(__name__)

# While Kafka or what is told of is away: seconds between looks at the longest.
LONGEST_WAIT = 60.0

TYPES = {"tool": TOOL_TYPE, "procedure": PROCEDURE_TYPE}


class Offering:
    """Tells what is new or has changed since it was told by this process, then the names of all there is.

    Everything of a tenant has one key, so that it arrives in its order; told again it changes nothing.

    Args:
        source: of the events; what another source told is not taken back.
    """

    def __init__(
        self,
        producer: EventProducer,
        *,
        kind: Literal["tool", "procedure"],
        source: str,
        now: Callable[[], datetime],
    ) -> None:
        self._producer = producer
        self._kind: Literal["tool", "procedure"] = kind
        self._source = source
        self._now = now
        self._told: dict[str, dict[str, ToolData | ProcedureData]] = {}
        self._names: dict[str, frozenset[str]] = {}

    async def tell(self, tenant: str, offered: Mapping[str, ToolData | ProcedureData]) -> int:
        """How many were told. Raises `BrokerUnavailable`; what was not told then is told by the next call."""
        told = self._told.setdefault(tenant, {})
        count = 0
        for name, data in offered.items():
            if told.get(name) != data:
                await self._publish(tenant, TYPES[self._kind], data.model_dump(mode="json"))
                told[name] = data
                count += 1
        if self._names.get(tenant) != frozenset(offered):
            names = OfferedData(kind=self._kind, names=sorted(offered))
            await self._publish(tenant, OFFERED_TYPE, names.model_dump(mode="json"))
            self._names[tenant] = frozenset(offered)
            for name in told.keys() - offered.keys():
                del told[name]
        return count

    def forget(self) -> None:
        """All is told again by the next calls, as after a restart."""
        self._told.clear()
        self._names.clear()

    async def _publish(self, tenant: str, type_: str, data: dict[str, object]) -> None:
        content = json.dumps([tenant, type_, self._source, data], sort_keys=True)
        event = Event(
            id=hashlib.sha256(content.encode()).hexdigest()[:32],
            source=self._source,
            type=type_,
            tenant=tenant,
            subject=f"{self._kind}s",
            time=self._now(),
            data=data,
        )
        await self._producer.publish(OBSERVATIONS, event)


async def keep_telling(
    tell: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    *,
    seconds: float,
    passing: tuple[type[Exception], ...] = (),
) -> None:
    """Looks every so many seconds until `stop` is set, more rarely while Kafka is away. Nothing needs to wait for it.

    Args:
        passing: what else `tell` raises that passes by itself.
    """
    wait = seconds
    away: tuple[type[Exception], ...] = (BrokerUnavailable, *passing)
    while not stop.is_set():
        try:
            await tell()
            wait = seconds
        except away as error:
            wait = min(wait * 2, LONGEST_WAIT)
            log.info("what is offered is told later", reason=str(error), seconds=wait)
        except EventTooLarge as error:
            log.warning("what is offered is not told", reason=str(error))
        try:
            async with asyncio.timeout(wait):
                await stop.wait()
        except TimeoutError:
            continue
