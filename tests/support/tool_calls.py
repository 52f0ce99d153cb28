"""Surroundings for a tool that is called without a tool-executor."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import TypeVar

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import NotPermitted
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap

S = TypeVar("S")

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def tool_context(
    settings: S,
    *,
    key: str = "acme.employee-onboarding.00:/do/1/step:0",
    tenant: str = "acme",
    started_at: datetime = NOW,
    **secrets: str,
) -> ToolContext[S]:
    """A context whose secrets are the keywords: `token="x"` is `secret://token`."""

    def secret(reference: str) -> str:
        try:
            return secrets[reference.removeprefix("secret://")]
        except KeyError:
            raise NotPermitted(f"no secret {reference}") from None

    return ToolContext(
        tenant=tenant,
        idempotency_key=key,
        run_id="acme.employee-onboarding.00",
        started_at=started_at,
        settings=settings,
        secret=secret,
        now=lambda: NOW,
        declared_secret=lambda name: secret(f"secret://{name}"),
        sandbox=Bubblewrap(),
    )


def closed_port() -> int:
    """A port on loopback at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
