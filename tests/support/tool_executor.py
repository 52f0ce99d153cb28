"""A tool executor over the fake connector, without its gRPC face, whose clock can be moved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from factotum.events.envelope import Event
from factotum.events.types import ObservationData
from factotum.runtime import clock
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger import Entry, Ledger
from factotum.tool_executor.resolution import Resolver
from factotum.tool_executor.wrappers.authorised import Permits
from tests.support import ledgers, tools
from tests.support.composition import catalog_of, contexts_of, executor_of
from tests.support.ledgers import Open

LEASE_SECONDS = 0.6
AMBIGUOUS_RETRY_SECONDS = 3.0
CANCEL_GRACE_SECONDS = 0.1


class Bench:
    """One process's executor; `restarted` gives what a killed one leaves to its successor."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self.ledger = ledger
        self.world = tools.World(folder)
        self.ahead = timedelta(0)
        self.catalog = self.configured("acme", "globex")
        self.executor = self.restarted()
        self.resolver = Resolver(
            catalog=self.catalog,
            contexts=contexts_of(self.catalog, now=self.now),
            ledger=ledger,
            now=self.now,
        )

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def now(self) -> datetime:
        return clock.now() + self.ahead

    def configured(self, *tenants: str) -> Catalog:
        """The fake connector, set for these tenants and for no other."""
        settings = tools.FakeSettings(world=self.folder)
        return catalog_of(tools.connector, settings={(tenant, "fake"): settings for tenant in tenants})

    def restarted(
        self,
        catalog: Catalog | None = None,
        *,
        permits: Permits | None = None,
        cancel_grace_seconds: float = CANCEL_GRACE_SECONDS,
    ) -> Executor:
        owners = count()
        self.catalog = catalog or self.catalog
        self.executor = executor_of(
            self.catalog,
            self.ledger,
            secrets=self.secrets,
            lease_seconds=LEASE_SECONDS,
            ambiguous_retry_seconds=AMBIGUOUS_RETRY_SECONDS,
            cancel_grace_seconds=cancel_grace_seconds,
            now=self.now,
            permits=permits,
            new_id=lambda: f"{id(owners)}-{next(owners)}",
        )
        return self.executor

    async def call(
        self,
        tool: str,
        key: str = "run:/do/0/x:0",
        *,
        tenant: str = "acme",
        settle: bool = False,
        user: str = "",
        **arguments: Any,
    ) -> Answer:
        return await self.executor.execute(
            tenant=tenant,
            tool=f"fake.{tool}",
            arguments_json=json.dumps(arguments or {"name": "ada"}),
            key=key,
            origin=Origin(run_id="run", step="/do/0/x", procedure="hr/test", user=user),
            settle=settle,
        )

    async def settle(self, tool: str, **arguments: Any) -> Answer:
        return await self.call(tool, settle=True, **arguments)

    async def entry(self, key: str = "run:/do/0/x:0", *, tenant: str = "acme") -> Entry:
        entry = await self.ledger.entry(tenant, key)
        assert entry is not None
        return entry

    async def begun(self, key: str = "run:/do/0/x:0") -> None:
        """Returns when a call of this key of acme's is in the ledger."""
        async with asyncio.timeout(10):
            while await self.ledger.entry("acme", key) is None:
                await asyncio.sleep(0.005)

    async def events(self) -> list[tuple[Event, ObservationData]]:
        """What waits in the outbox."""
        events = [Event.from_bytes(one.value) for one in await ledgers.waiting(self.ledger)]
        return [(event, ObservationData.model_validate(event.data)) for event in events]


@asynccontextmanager
async def bench(folder: Path, opened: Open | None = None) -> AsyncIterator[Bench]:
    """Over this ledger; without one, over a file in the folder."""
    opened = opened or ledgers.sqlite(folder, ambiguous_retry_seconds=AMBIGUOUS_RETRY_SECONDS)
    async with opened() as ledger:
        made = Bench(folder, ledger)
        yield made
        await made.executor.drained()
