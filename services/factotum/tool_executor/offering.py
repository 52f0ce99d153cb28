"""The memory is told which tools each tenant has, so that they can be searched for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from factotum.events.offering import Offering, keep_telling
from factotum.events.producer import EventProducer
from factotum.events.types import ToolData
from factotum.sdk.spec import ToolSpec
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.observations import SOURCE

# Between two looks.
LOOK_SECONDS = 5.0
# A memory that lost what it was told, or was not there, gets it after so many looks.
TELL_AGAIN_AFTER = 720
# Of one tool: enough to find it by.
MOST_NAMES, LONGEST_NAME = 50, 100
MOST_EXAMPLES, LONGEST_TITLE = 10, 200
LONGEST_TEXT = 4_000


class ToolOffering:
    """Looks every few seconds whether a tenant's tools are others than those that were told.

    Told are the tenants that the executor knows by itself: those of the file of connectors, and those with sources. A
    tenant some of whose tools are still being made is told later, so that nothing is taken for gone that is coming.
    """

    def __init__(self, catalog: Catalog, producer: EventProducer, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._offering = Offering(producer, kind="tool", source=SOURCE, now=now)
        self._told: dict[str, list[ToolSpec]] = {}
        self._looks = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Nothing waits for it, and Kafka may be away."""
        await keep_telling(self.tell, stop, seconds=LOOK_SECONDS)

    async def tell(self) -> None:
        """Tells what has changed, once an hour everything. Raises `BrokerUnavailable`, `EventTooLarge`."""
        self._looks += 1
        if self._looks % TELL_AGAIN_AFTER == 0:
            self._offering.forget()
            self._told.clear()
        for tenant in self._catalog.known_tenants():
            if not self._catalog.is_settled(tenant):
                continue
            specs = [tool.spec for tool in self._catalog.tools(tenant)]
            # Most looks find the very same ones: to read them all each time would be a waste.
            before = self._told.get(tenant)
            if before is not None and len(before) == len(specs) and all(map(lambda a, b: a is b, before, specs)):
                continue
            offered = {spec.name: tool_data(spec, self._catalog.origin(tenant, spec.system)) for spec in specs}
            await self._offering.tell(tenant, offered)
            self._told[tenant] = specs


def tool_data(spec: ToolSpec, source: str) -> ToolData:
    """What is told of a tool: words that somebody who needs it may use. No settings, no schema, no values."""
    inputs = spec.input_schema.get("properties")
    return ToolData(
        name=spec.name,
        version=spec.version,
        description=_text(spec.description, LONGEST_TEXT),
        effect=spec.effect.value,
        inputs=[_text(str(name), LONGEST_NAME) for name in inputs][:MOST_NAMES] if isinstance(inputs, dict) else [],
        examples=[_text(example.title, LONGEST_TITLE) for example in spec.examples[:MOST_EXAMPLES]],
        source=source,
    )


def _text(text: str, longest: int) -> str:
    """What another system wrote may hold halves of characters, which no message can."""
    return text[:longest].encode(errors="replace").decode()
