"""`factotum policy`: whether policies can be used, and what they say of a call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from factotum.cli.errors import BadInput, ExitStatus
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

app = typer.Typer(help="Who may call what: policies in Cedar.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER...]", help="Of *.cedar files that hold together; without one, the starter."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check policies as the tool executor does when it reads them. Needs no stack. Exit status 1 if there are faults.

    JSON: `{policies, faults: [{file, line, message, advice}]}`; policies is how many can be used.
    """
    from dataclasses import asdict

    from factotum.cli import output
    from factotum.cli.documents import text_of
    from factotum.tool_executor.policy.folders import STARTER, files
    from factotum.tool_executor.policy.policies import PoliciesInvalid, PolicyFault, policies

    folders = folders or [STARTER]
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"{folder} is no folder")
    paths = files(folders)
    if not paths:
        raise BadInput(f"there is no *.cedar file in {', '.join(map(str, folders))}")
    faults: list[PolicyFault] = []
    count = 0
    try:
        count = len(policies({str(path): text_of(path) for path in paths}))
    except PoliciesInvalid as error:
        faults = error.faults
    if as_json:
        output.print_json({"policies": count, "faults": [asdict(fault) for fault in faults]})
    else:
        for fault in faults:
            output.say(str(fault))
        ended = "s" if len(paths) != 1 else ""
        many = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}" if faults else f"{count} policies, no faults"
        output.note(f"{len(paths)} file{ended} checked: {many}")
    raise typer.Exit(ExitStatus.FAILED if faults else ExitStatus.OK)


@app.command()
def explain(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="e.g. identity.create_user")],
    arguments: Annotated[
        str,
        typer.Option("--args", metavar="JSON|@FILE", help="What it would be given; without it, whatever that is."),
    ] = "",
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="The person that the call acts for.")] = "",
    procedure: Annotated[
        str, typer.Option("--procedure", metavar="NAME", help="namespace/name of what makes the call.")
    ] = "",
    secrets: Annotated[
        list[str] | None,
        typer.Option(
            "--secret", metavar="NAME", help="A secret that its document gives it, and no others; repeatable."
        ),
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Ask the tool executor whether a call may be made, and why; it is not made. Exit status 0 if it may, 1 if not, or
    if it depends on what was not given.

    JSON: `{verdict: "allowed"|"denied"|"depends", policies, explanation}`.
    """
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run
    from factotum.cli.tools import read_arguments

    request = pb.AuthorizeRequest(
        tenant=tenant,
        tool=tool,
        arguments_json=read_arguments(arguments) if arguments else "",
        procedure=procedure,
        user=user,
        secrets=pb.PlannedSecrets(names=secrets) if secrets else None,
    )

    async def ask() -> pb.AuthorizeResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.Authorize(request, timeout=REQUEST_SECONDS)

    answer: dict[str, Any] = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
    else:
        output.say(f"{answer['verdict']}: {answer['explanation']}")
    raise typer.Exit(ExitStatus.OK if answer["verdict"] == "allowed" else ExitStatus.FAILED)


@app.command()
def starter() -> None:
    """Print the policies that hold where no folder is set: to begin one's own with."""
    from factotum.cli import output
    from factotum.tool_executor.policy.folders import STARTER, files

    for path in files([STARTER]):
        output.say(path.read_text(encoding="utf-8").rstrip("\n"))


@app.command()
def schema() -> None:
    """Print Cedar's schema of what policies are written over: for editors, and for Cedar's own tools."""
    from factotum.cli import output
    from factotum.tool_executor.policy.policies import SCHEMA_FILE

    output.say(SCHEMA_FILE.read_text(encoding="utf-8").rstrip("\n"))
