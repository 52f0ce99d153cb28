"""Jira's operations as its document describes them, for one call of a tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from factotum.connectors.protocols.egress import Egress, EgressSettings
from factotum.connectors.protocols.openapi_calls import Caller
from factotum.connectors.protocols.openapi_interface import Interface, Reader
from factotum.connectors.protocols.openapi_security import proofs
from factotum.connectors.protocols.openapi_text import parsed
from factotum.connectors.tickets.settings import TicketsSettings
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import InvalidArgument
from factotum.sdk.spec import Effect

SYSTEM = "Jira"
_FILE = "jira.yaml"

Context = ToolContext[TicketsSettings]


@cache
def document() -> dict[str, Any]:
    """The packaged description of the operations."""
    return parsed(files("factotum.connectors.tickets").joinpath(_FILE).read_bytes(), _FILE)


@cache
def _interfaces() -> dict[str, Interface]:
    reader = Reader(document(), address="https://your-site.atlassian.net")
    return {one.id: reader.interface(one) for one in reader.operations()}


async def call(operation: str, arguments: Mapping[str, Any], context: Context, *, effect: Effect = Effect.NONE) -> Any:
    """The body of the answer; None where there is none.

    Raises `InvalidArgument` for arguments that the document does not allow, before anything is sent; the error that
    a refusal means; `Failed` for an answer that is not as described.
    """
    settings, described = context.settings, _interfaces()[operation]
    if wrong := described.arguments.faults(arguments):
        raise InvalidArgument(f"{SYSTEM} takes no such {operation}: {'; '.join(wrong)}")
    interface = replace(described, operation=replace(described.operation, base=settings.base_url))
    caller = Caller(interface, effect, proofs=proofs(described.security, document(), settings.credentials))
    answer = await caller.call(
        arguments,
        context,
        egress=Egress(settings.origins, where="base_url of the settings of tickets"),
        settings=EgressSettings(timeout=settings.timeout, max_bytes=settings.max_bytes),
    )
    return answer.body
