"""Which tool of the catalog carries out what the language calls by a protocol or runs as a process.

Every call is a tool's, so that the ledger, the permission and the observation of an effect stand in one
place: what the language writes as `call: http` is the tool `http.request`.
"""

from __future__ import annotations

import re

from factotum.procedures.tasks import CallTask, RunTask, Task

PROTOCOLS = {
    "http": "http.request",
    "openapi": "openapi.call",
    "grpc": "grpc.call",
    "mcp": "mcp.call",
    "a2a": "a2a.call",
}
ASYNCAPI = "asyncapi"
PUBLISH = "asyncapi.publish"
RECEIVE = "asyncapi.receive"
PROCESSES = {"shell": "process.shell", "script": "process.script", "container": "process.container"}

# Of what a protocol or a process is given: what belongs to the caller's data, in which nothing is a URI template and no
# policy is named.
DATA = frozenset(
    {"arguments", "body", "environment", "headers", "message", "parameters", "query", "subscription", "variables"}
)

_TOOL = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def tool_of(task: Task) -> str | None:
    """The name of the tool that carries out a task; None if it is a function's, a workflow's or nobody's."""
    match task:
        case CallTask(call=call):
            return RECEIVE if call == ASYNCAPI and "subscription" in task.with_ else tool_named(call)
        case RunTask(run=process):
            return next((tool for kind, tool in PROCESSES.items() if getattr(process, kind) is not None), None)
        case _:
            return None


def tool_named(call: str) -> str | None:
    """The tool that a name under `call` means; None if it can only be a function's.

    A function under `use.functions` comes before a tool of the same name: look there first.
    """
    if call == ASYNCAPI:
        return PUBLISH
    return PROTOCOLS.get(call, call if _TOOL.fullmatch(call) else None)
