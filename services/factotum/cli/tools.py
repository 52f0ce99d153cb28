"""`factotum tools`: what can be done, and doing one thing of it by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from factotum.cli import tool_sources
from factotum.cli.errors import BadInput, CommandError, Refused
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

# Longer than any tool may take.
CALL_SECONDS = 3700.0

app = typer.Typer(
    help="What can be done: list, describe, test and call tools, add and remove their sources.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(tool_sources.adding, name="add")
app.command()(tool_sources.remove)
app.command()(tool_sources.refresh)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="e.g. identity.create_user")]
UserOption = Annotated[str, typer.Option("--user", metavar="NAME", help="The person that the call acts for.")]


@app.command("list")
def list_tools(
    system: Annotated[str, typer.Argument(metavar="[SYSTEM]", help="Only the tools of this one.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that the tenant cannot call: it has no settings of the system.")
    ] = False,
    sources: Annotated[bool, typer.Option("--sources", help="The sources that were added, in place of tools.")] = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """List the tools that the tenant has.

    JSON: `{tools: [Tool]}` without their schemas; with --sources `{sources: [Source]}`.
    """
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    if sources:
        tool_sources.print_sources(data, tenant, as_json=as_json)
        return

    async def ask() -> pb.ListToolsResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            request = pb.ListToolsRequest(tenant=tenant, without_schemas=True)
            return await tools.ListTools(request, timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if system:
        answer["tools"] = [tool for tool in answer["tools"] if _system(tool) == system]
        if not answer["tools"]:
            raise CommandError(f"there is no tool of {system!r}: `factotum tools list --all` shows all there are")
    left_out = 0
    if not everything:
        there = answer["tools"]
        answer["tools"] = [tool for tool in there if not tool["without_settings"]]
        left_out = len(there) - len(answer["tools"])
        if system and left_out:
            raise CommandError(
                f"{tenant} has no settings of {system}: `factotum tools list {system} --all` shows its tools"
            )
    if as_json:
        output.print_json(answer)
        return
    table = output.table("tool", "version", "effect", "once by", "from", "what it does", whole=("tool",))
    before = ""
    for tool in answer["tools"]:
        if before and _system(tool) != before:
            table.add_section()
        before = _system(tool)
        once = tool["idempotency"] if tool["effect"] != "none" else ""
        source = "no settings" if tool["without_settings"] else tool["source"]
        columns = (tool["name"], tool["version"], tool["effect"], once, source, tool["description"])
        table.add_row(*map(output.cell, columns))
    output.console().print(table)
    if left_out:
        output.note(f"{left_out} more of systems that {tenant} has no settings of: --all")


@app.command()
def describe(
    name: NameArgument,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Describe one tool: all of its contract. JSON: Tool."""
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output, tool_description
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run
    from factotum.runtime.tool_specs import spec_of

    async def ask() -> pb.DescribeToolResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.DescribeTool(pb.DescribeToolRequest(tenant=tenant, tool=name), timeout=REQUEST_SECONDS)

    answer = run(ask()).tool
    tool = output.to_json(answer)
    if as_json:
        output.print_json(tool)
        return
    console = output.console()
    for line in tool_description.lines(tool, spec_of(answer).needed_permissions):
        console.print(output.printable(line), markup=False, soft_wrap=True)
    for title in ("input_schema", "output_schema"):
        console.print(f"\n{title.replace('_', ' ')}:")
        console.print_json(data=tool[title])


@app.command()
def test(
    name: NameArgument,
    user: UserOption = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Look whether a tool could be called: schemas, examples, settings, secrets, policy, source.

    A tool that only reads is called with its examples. Exit status 1 if something stands in the way.

    JSON: `{checks: [{name, passed, message}]}`.
    """
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    async def ask() -> pb.TestToolResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.TestTool(pb.TestToolRequest(tenant=tenant, tool=name, user=user), timeout=CALL_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
    else:
        table = output.table("check", "", "what was found", whole=("check", ""))
        for check in answer["checks"]:
            mark = "[green]ok[/]" if check["passed"] else "[red]failed[/]"
            table.add_row(output.cell(check["name"]), mark, output.cell(check["message"]))
        output.console().print(table)
    if not all(check["passed"] for check in answer["checks"]):
        raise typer.Exit(1)


@app.command()
def call(
    name: NameArgument,
    given: Annotated[
        str, typer.Argument(metavar="[JSON|@FILE]", help="The arguments: a JSON object, or @ and a file with one.")
    ] = "",
    arguments: Annotated[str, typer.Option("--args", metavar="JSON|@FILE", help="The same as an option.")] = "",
    key: Annotated[
        str, typer.Option("--key", help="Idempotency key: one key, one effect. Without it a new one is made.")
    ] = "",
    user: UserOption = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Call one tool. Exit status 1 if the tool fails.

    JSON: Observation; of `output` and `error` one is null.
    """
    import uuid

    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    if given and arguments:
        raise BadInput("give the arguments once")
    request = pb.ExecuteRequest(
        tenant=tenant,
        tool=name,
        arguments_json=read_arguments(arguments or given or "{}"),
        idempotency_key=key or f"cli:{uuid.uuid4()}",
        origin=pb.Origin(user=user) if user else None,
    )

    async def ask() -> pb.ExecuteResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.Execute(request, timeout=CALL_SECONDS)

    try:
        answer = run(ask())
    except (CommandError, KeyboardInterrupt) as error:
        # With another key the call would be made anew, whatever became of this one.
        if not key and not isinstance(error, BadInput | Refused):
            output.note(f"to ask what came of it, repeat it with --key {request.idempotency_key}")
        raise
    observation = output.to_json(answer.observation)
    failed: dict[str, Any] | None = observation["error"]
    if as_json:
        output.print_json(observation)
        raise typer.Exit(1 if failed else 0)
    if failed:
        raise CommandError(f"{failed['kind']}: {failed['message']} (key {request.idempotency_key})")
    output.console().print_json(data=observation["output"])
    output.note(f"{'already done before' if observation['replayed'] else 'done'}, key {request.idempotency_key}")


def read_arguments(given: str) -> str:
    """The JSON text of the arguments, as it was written. Raises `BadInput`."""
    import json

    if given.startswith("@"):
        try:
            given = Path(given[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{given[1:]} cannot be read: {error}") from error
    try:
        found = json.loads(given)
    except ValueError as error:
        raise BadInput(f"the arguments are not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadInput("the arguments must be a JSON object")
    return given


def _system(tool: dict[str, Any]) -> str:
    return str(tool["name"]).partition(".")[0]
