"""The tickets connector on a stand-in for Jira, as a tool executor would call it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from factotum.connectors.tickets.settings import TicketsSettings
from factotum.connectors.tickets.tools import connector
from factotum.sdk.context import ToolContext
from tests.support.jira import CLIENT_SECRET, EMAIL, TOKEN, Jira
from tests.support.tool_calls import tool_context

SECRETS = {"jira": TOKEN, "client": CLIENT_SECRET}
NEW = {"project": "ED", "summary": "Laptop for Ada"}


def settings(url: str, **changes: Any) -> TicketsSettings:
    given = {"base_url": url, "email": EMAIL, "token": "secret://jira", "index_seconds": 0, **changes}
    return TicketsSettings.model_validate(given)


def context(
    jira: Jira, *, key: str = "run:/do/0", started_at: datetime | None = None, **changes: Any
) -> ToolContext[Any]:
    began = started_at or datetime.now(UTC)
    return tool_context(settings(jira.url, **changes), key=key, started_at=began, **SECRETS)


async def do(tool: str, at: ToolContext[Any], **arguments: Any) -> Any:
    made = connector.tools[f"tickets.{tool}"]
    return (await made.function(made.arguments.model_validate(arguments), at)).model_dump()


async def asked(tool: str, at: ToolContext[Any], **arguments: Any) -> Any:
    made = connector.tools[f"tickets.{tool}"]
    assert made.reconciler is not None
    found = await made.reconciler(made.arguments.model_validate(arguments), at)
    return None if found is None else found.model_dump()
