"""What a service offers its tenants, told on Kafka whenever it changes, so that it can be searched for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import OBSERVATIONS
from factotum.events.types import OFFERED_TYPE, PROCEDURE_TYPE, TOOL_TYPE, OfferedData, ProcedureData, ToolData

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
