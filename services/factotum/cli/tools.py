"""`factotum tools`: what can be done, and doing one thing of it by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from factotum.cli.errors import BadInput, CommandError
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

# Longer than any tool may take.
CALL_SECONDS = 3700.0

app = typer.Typer(help="What can be done: list, describe and call tools.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="e.g. identity.create_user")]


@app.command("list")
def list_tools(
    as_json: JsonOption = False, data: DataOption = DEFAULT_DATA, tenant: TenantOption = DEFAULT_TENANT
) -> None:
    """List the tools. JSON: `{tools: [Tool]}`."""
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.ListToolsResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.ListTools(pb.ListToolsRequest(tenant=tenant), timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("tool", "version", "effect", "once by", "what it does", whole=("tool",))
    for tool in answer["tools"]:
        once = tool["idempotency"] if tool["effect"] != "none" else ""
        table.add_row(*map(output.cell, (tool["name"], tool["version"], tool["effect"], once, tool["description"])))
    output.console().print(table)


@app.command()
def describe(
    name: NameArgument,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Describe one tool with its schemas. JSON: Tool."""
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.DescribeToolResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.DescribeTool(pb.DescribeToolRequest(tenant=tenant, tool=name), timeout=REQUEST_SECONDS)

    tool = output.to_json(run(ask()).tool)
    if as_json:
        output.print_json(tool)
        return
    console = output.console()
    console.print(output.printable(f"{tool['name']} {tool['version']}: {tool['description']}"), markup=False)
    console.print(f"effect {tool['effect']}, once by {tool['idempotency']}, at most {tool['timeout_seconds']:g} s")
    for title in ("input_schema", "output_schema"):
        console.print(f"\n{title.replace('_', ' ')}:")
        console.print_json(data=tool[title])


@app.command()
def call(
    name: NameArgument,
    arguments: Annotated[
        str,
        typer.Option("--args", metavar="JSON|@FILE", help="A JSON object, or @ and a file with one."),
    ] = "{}",
    key: Annotated[
        str, typer.Option("--key", help="Idempotency key: one key, one effect. Without it a new one is made.")
    ] = "",
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

    request = pb.ExecuteRequest(
        tenant=tenant, tool=name, arguments_json=read_arguments(arguments), idempotency_key=key or f"cli:{uuid.uuid4()}"
    )

    async def ask() -> pb.ExecuteResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.Execute(request, timeout=CALL_SECONDS)

    observation = output.to_json(run(ask()).observation)
    error: dict[str, Any] | None = observation["error"]
    if as_json:
        output.print_json(observation)
        raise typer.Exit(1 if error else 0)
    if error:
        raise CommandError(f"{error['kind']}: {error['message']} (key {request.idempotency_key})")
    output.console().print_json(data=observation["output"])
    output.note(f"{'already done before' if observation['replayed'] else 'done'}, key {request.idempotency_key}")


def read_arguments(given: str) -> str:
    """The JSON text of `--args`, as it was written. Raises `BadInput`."""
    import json

    if given.startswith("@"):
        try:
            given = Path(given[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--args: {given[1:]} cannot be read: {error}") from error
    try:
        found = json.loads(given)
    except ValueError as error:
        raise BadInput(f"--args is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadInput("--args must be a JSON object")
    return given
