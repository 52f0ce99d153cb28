"""What surrounds a tool: its tenant's settings and the clock; its secrets come later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from factotum.runtime.secrets.mask import Known, Mask
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import NotPermitted
from factotum.tool_executor.calls import Progress
from factotum.tool_executor.catalog import Catalog


class Contexts:
    """Makes the context of a call, which is given no secret yet.

    Args:
        known: is told what tools conceal.
    """

    def __init__(self, *, catalog: Catalog, known: Known, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._known = known
        self._now = now

    def context(
        self,
        *,
        tenant: str,
        system: str,
        key: str,
        run_id: str,
        started_at: datetime,
        user: str,
        mask: Mask,
        report: Callable[[str, float | None], None] | None = None,
    ) -> ToolContext[Any]:
        """What the tool conceals is told to the mask. Raises `NotPermitted` where the tenant has not the system."""

        def conceal(text: str) -> None:
            mask.add(text)
            self._known.add(text)

        return ToolContext(
            tenant=tenant,
            idempotency_key=key,
            run_id=run_id,
            started_at=started_at,
            settings=self._catalog.settings(tenant, system),
            secret=_unnamed,
            now=self._now,
            user=user,
            report=report or Progress(),
            conceal=conceal,
        )


def _unnamed(reference: str) -> str:
    raise NotPermitted(f"{reference} is not for this call: neither the settings of its system nor the tool name it")
