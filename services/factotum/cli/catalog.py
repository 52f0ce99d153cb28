"""The tools that a document's calls are checked against."""

from __future__ import annotations

from importlib.metadata import entry_points

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.cli.connection import REQUEST_SECONDS, Connection, run
from factotum.cli.errors import CommandError, StackNotRunning
from factotum.procedures.check import Catalog
from factotum.runtime.tool_specs import spec_of
from factotum.sdk.spec import ToolSpec

GROUP = "factotum.tools"
# Tools with their schemas in one answer: some have hundreds of kilobytes.
AT_ONCE = 50


def available(connection: Connection) -> tuple[str, Catalog]:
    """The tools of the running stack, or else the installed ones; `stack` or `installed` says which.

    Raises `CommandError`.
    """
    try:
        return "stack", run(of_stack(connection))
    except StackNotRunning:
        return "installed", installed()


async def of_stack(connection: Connection) -> Catalog:
    """The tools of the running stack's executor. Raises `StackNotRunning`."""
    tenant = connection.tenant
    async with connection.tools() as tools:
        bare = pb.ListToolsRequest(tenant=tenant, without_schemas=True)
        names = [tool.name for tool in (await tools.ListTools(bare, timeout=REQUEST_SECONDS)).tools]
        pieces = [
            await tools.ListTools(
                pb.ListToolsRequest(tenant=tenant, names=names[start : start + AT_ONCE]), timeout=REQUEST_SECONDS
            )
            for start in range(0, len(names), AT_ONCE)
        ]
    return {tool.name: spec_of(tool) for piece in pieces for tool in piece.tools}


def installed() -> Catalog:
    """The tools of every connector installed here, by the entry points of their packages.

    Raises `CommandError` for one that cannot be imported: without its tools their calls would be called wrong.
    """
    found: dict[str, ToolSpec] = {}
    for point in entry_points(group=GROUP):
        try:
            connector = point.load().connector
        except ImportError as error:
            raise CommandError(
                f"the tools of {point.name} cannot be imported here ({error}): install factotum[tool-executor], "
                "or start the stack with `factotum dev`"
            ) from error
        found |= {name: tool.spec for name, tool in connector.tools.items()}
    return found
