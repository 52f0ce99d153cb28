"""What surrounds a tool: its tenant's settings and the clock; its secrets come later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import NotPermitted
from factotum.tool_executor.catalog import Catalog


class Contexts:
    """Makes the context of a call, which is given no secret yet."""

    def __init__(self, *, catalog: Catalog, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
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
            secret=_unnamed,
            now=self._now,
            user=user,
        )


def _unnamed(reference: str) -> str:
    raise NotPermitted(f"{reference} is not for this call: neither the settings of its system nor the tool name it")
