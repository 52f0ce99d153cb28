"""Every ledger there is, for suites that run on each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from factotum.sdk.spec import Idempotency
from factotum.tool_executor.calls import Origin
from factotum.tool_executor.ledger import Claim, Ledger, Publication, Settlement, State
from factotum.tool_executor.ledger_postgres import PostgresLedger
from factotum.tool_executor.ledger_sqlite import SqliteLedger

# Opens one and the same store, each time as a process that begins does.
Open: TypeAlias = Callable[[], AbstractAsyncContextManager[Ledger]]

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
CLAIM = Claim(
    tenant="acme",
    key="k",
    tool="fake.create",
    tool_version="1.0.0",
    arguments_json='{"name": "ada"}',
    arguments_sha256="0" * 64,
    origin=Origin("run", "/do/0/x", "0.3", "hr/test", "/hr", "event", "ada"),
    idempotency=Idempotency.RECONCILE,
    owner="me",
    held=False,
    now=NOW,
    lease_until=NOW + timedelta(seconds=5),
)
PUBLICATION = Publication("acme/run", b"{}", "00-1-2-01")


def settlement(claim: Claim, state: State, **changes: object) -> Settlement:
    made = Settlement(tenant=claim.tenant, key=claim.key, owner=claim.owner, state=state, now=NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


def sqlite(folder: Path, *, ambiguous_retry_seconds: float = 5.0) -> Open:
    return lambda: SqliteLedger(folder / "deep" / "ledger.sqlite", ambiguous_retry_seconds=ambiguous_retry_seconds)


def postgres(url: str, *, ambiguous_retry_seconds: float = 5.0) -> Open:
    """Its leases are of the clock of who asks, which tests can move."""
    return lambda: PostgresLedger(url, ambiguous_retry_seconds=ambiguous_retry_seconds, database_clock=False)


async def waiting(ledger: Ledger) -> list[Publication]:
    """What is in the outbox, and stays there."""
    async with ledger.taken(1000) as taken:
        return [one for _, one in taken.waiting]
