"""The tools `process.shell`, `process.script` and `process.container`.

A command in the sandbox reaches nothing: it has no network, and its files are gone with it. So it may be run
again, by a retry or to learn what it answered, and what is interrupted leaves nothing behind. For policy it is
an execution all the same. A container may have a network and folders: its runtime is asked what became of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from factotum.connectors.process import containers, scripts
from factotum.connectors.process.arguments import Container, Output, Script, Shell
from factotum.connectors.process.outcome import output
from factotum.connectors.process.settings import LONGEST_COMMAND, LONGEST_CONTAINER, ProcessSettings
from factotum.connectors.protocols.egress import egress
from factotum.connectors.protocols.external_resource import read
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Cancelled, Conflict, Failed, InvalidArgument, NotPermitted, Unavailable
from factotum.sdk.http import HTTP_ERRORS
from factotum.sdk.sandbox import SCRIPTS, Command
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

# What making and unmaking takes beside the process itself.
_MARGIN = 60.0

connector = Connector("process", settings=ProcessSettings)


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.NATIVE,
    timeout_seconds=LONGEST_COMMAND + _MARGIN,
    sandbox=True,
    errors=[InvalidArgument, NotPermitted, Failed],
    examples=[
        Example(
            title="Count the lines of what it is given",
            arguments={"command": "wc -l", "stdin": "ada\ngrace\n", "return": "all"},
            output={"code": 0, "stdout": "2\n", "stderr": ""},
        )
    ],
)
async def shell(arguments: Shell, context: ToolContext[ProcessSettings]) -> Output:
    """Run a shell command in a sandbox without network."""
    _allowed(context.settings.shell, "shell")
    command = Command(
        ["sh", f"{SCRIPTS}/command", *arguments.argv],
        stdin=arguments.stdin,
        environment=arguments.whole_environment(),
        scripts={"command": arguments.command},
    )
    return await _in_sandbox(command, arguments, context)


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.NATIVE,
    timeout_seconds=LONGEST_COMMAND + _MARGIN,
    sandbox=True,
    # Its source may have to be fetched.
    errors=HTTP_ERRORS,
    examples=[
        Example(
            title="Add up in Python",
            arguments={
                "language": "python",
                "code": "print(sum(amounts))",
                "arguments": {"amounts": [19.5, 22.5]},
                "return": "all",
            },
            output={"code": 0, "stdout": "42.0\n", "stderr": ""},
        )
    ],
)
async def script(arguments: Script, context: ToolContext[ProcessSettings]) -> Output:
    """Run a script in Python or JavaScript in a sandbox without network."""
    settings = context.settings
    _allowed(settings.script, "script")
    code = await _code(arguments, context)
    return await _in_sandbox(scripts.command(arguments, code, settings.limits, context.sandbox), arguments, context)


@connector.tool(
    effect=Effect.EXECUTE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=LONGEST_CONTAINER + _MARGIN,
    errors=[InvalidArgument, NotPermitted, Conflict, Unavailable, Ambiguous, Failed],
    examples=[
        Example(
            title="Convert a text",
            arguments={
                "image": "images.acme.example/pandoc:3.5",
                "arguments": ["--to", "html"],
                "stdin": "# Welcome",
                "lifetime": {"cleanup": "always"},
                "return": "all",
            },
            output={"code": 0, "stdout": '<h1 id="welcome">Welcome</h1>\n', "stderr": ""},
        )
    ],
)
async def container(arguments: Container, context: ToolContext[ProcessSettings]) -> Output:
    """Run a container of an allowed image."""
    _allowed(context.settings.container, "container")
    return await containers.execute(arguments, context)


@container.reconcile
async def find_container(arguments: Container, context: ToolContext[ProcessSettings]) -> Output | None:
    """What the container of this call answered, None if it never began."""
    return await containers.find(arguments, context)


async def _code(arguments: Script, context: ToolContext[Any]) -> str:
    if arguments.source is None and arguments.code is not None:
        return arguments.code
    if arguments.source is None or arguments.code is not None:
        raise InvalidArgument("a script has either code or source")
    return (await read(arguments.source, context, egress(context, connector.system))).decode("utf-8", "replace")


async def _in_sandbox(command: Command, arguments: Shell | Script, context: ToolContext[ProcessSettings]) -> Output:
    try:
        ended = await context.sandbox.run(command, context.settings.limits)
    except asyncio.CancelledError:
        raise Cancelled("the process was stopped", effect_possible=False) from None
    return output(ended, arguments.wanted, effect_possible=False)


def _allowed(allowed: bool, what: str) -> None:
    if not allowed:
        raise NotPermitted(f"this tenant may not run a {what}: set process.{what}: true in its settings")
