"""A tool executor put together as `factotum.tool_executor.main` does it, for tests of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel

from factotum.runtime import clock
from factotum.runtime.secrets import SecretDirectory
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger import Ledger
from factotum.tool_executor.registry import AnyConnector, Registry
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.tenants import Tenants


def catalog_of(*connectors: AnyConnector, settings: Mapping[tuple[str, str], BaseModel] | None = None) -> Catalog:
    """These connectors; their settings by tenant and system."""
    return Catalog(Registry(connectors), Tenants(dict(settings or {}), {}))


def contexts_of(catalog: Catalog, *, secrets: Path, now: Callable[[], datetime] = clock.now) -> Contexts:
    return Contexts(catalog=catalog, secrets=SecretDirectory(secrets), now=now)


def executor_of(
    catalog: Catalog,
    ledger: Ledger,
    *,
    secrets: Path,
    lease_seconds: float = 5.0,
    ambiguous_retry_seconds: float = 5.0,
    cancel_grace_seconds: float = 0.1,
    now: Callable[[], datetime] = clock.now,
    new_id: Callable[[], str] = lambda: uuid4().hex,
) -> Executor:
    """An executor over these tools.

    Args:
        secrets: the folder of secrets, `<tenant>/<name>`.
    """
    return Executor(
        catalog=catalog,
        contexts=contexts_of(catalog, secrets=secrets, now=now),
        ledger=ledger,
        sandbox=Bubblewrap(),
        lease_seconds=lease_seconds,
        ambiguous_retry_seconds=ambiguous_retry_seconds,
        cancel_grace_seconds=cancel_grace_seconds,
        now=now,
        new_id=new_id,
    )
