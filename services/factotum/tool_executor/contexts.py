"""What surrounds a tool: its tenant's settings, secrets and the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from factotum.runtime.secrets import SecretDirectory, UnknownSecret
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import NotPermitted
from factotum.tool_executor.catalog import Catalog


class Contexts:
    """Makes the context of a call."""

    def __init__(self, *, catalog: Catalog, secrets: SecretDirectory, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._secrets = secrets
        self._now = now

    def context(
        self, *, tenant: str, system: str, key: str, run_id: str, started_at: datetime, user: str
    ) -> ToolContext[Any]:
        """Raises `NotPermitted` where the tenant has not the system."""
        return ToolContext(
            tenant=tenant,
            idempotency_key=key,
            run_id=run_id,
            started_at=started_at,
            settings=self._catalog.settings(tenant, system),
            secret=lambda reference: self._secret(tenant, reference),
            now=self._now,
            user=user,
        )

    def _secret(self, tenant: str, reference: str) -> str:
        try:
            return self._secrets.resolve(tenant, reference)
        except UnknownSecret as error:
            raise NotPermitted(str(error)) from error
