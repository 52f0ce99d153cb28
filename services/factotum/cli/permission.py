"""What the policies of a running stack deny of a document."""

from __future__ import annotations

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.cli.connection import REQUEST_SECONDS, Connection, run
from factotum.planner.permission import denials, question
from factotum.planner.preparation import own_calls
from factotum.procedures.fault import Fault
from factotum.procedures.parse import parse


def denied(connection: Connection, text: str, user: str) -> list[Fault]:
    """Of a document without faults. Where nobody is named and nothing starts it by itself it is not known for whom it
    will act, and none is told.

    Raises `CommandError`.
    """
    source = parse(text)
    calls = own_calls(source)
    if not calls or not (user or source.document.schedule):
        return []

    async def ask() -> pb.AuthorizePlanResponse:
        async with connection.tools() as tools:
            return await tools.AuthorizePlan(question(connection.tenant, user, calls), timeout=REQUEST_SECONDS)

    return denials(source, calls, run(ask()).calls)
