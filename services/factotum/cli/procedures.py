"""`factotum procedures`: what events start, and whether a document may run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli import case_tests, simulate
from factotum.cli.errors import ExitStatus
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

if TYPE_CHECKING:
    from factotum.procedures.check import Catalog
    from factotum.procedures.fault import Fault

app = typer.Typer(help="The procedures that events start.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_procedures(
    as_json: JsonOption = False, data: DataOption = DEFAULT_DATA, tenant: TenantOption = DEFAULT_TENANT
) -> None:
    """List the procedures that the planner knows, with their versions. JSON: `{procedures: [Procedure]}`."""
    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.ListProceduresResponse:
        async with Connection(data, tenant, os.environ).planner() as planner:
            return await planner.ListProcedures(pb.ListProceduresRequest(tenant=tenant), timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("procedure", "version", "older ones", "starts on", "what it does")
    for found in answer["procedures"]:
        older = ", ".join(version for version in found["versions"] if version != found["version"])
        events = ", ".join(found["event_types"])
        table.add_row(*map(output.cell, (found["procedure"], found["version"], older, events, found["summary"])))
    output.console().print(table)


@app.command()
def register(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Documents in YAML or JSON.")],
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Add versions of procedures to the planner's store, for this tenant. A version never changes: for other content
    raise `document.version`. The same file again changes nothing.

    JSON: `{procedures: [{procedure, version, added}]}`.
    """
    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run
    from factotum.cli.documents import text_of

    texts = [text_of(path) for path in files]
    found: list[dict[str, Any]] = []

    async def ask() -> None:
        async with Connection(data, tenant, os.environ).planner() as planner:
            for text in texts:
                request = pb.RegisterProcedureRequest(tenant=tenant, document=text)
                entry = output.to_json(await planner.RegisterProcedure(request, timeout=REQUEST_SECONDS))
                found.append(entry)
                if not as_json:
                    done = "registered" if entry["added"] else "was there before"
                    output.say(f"{entry['procedure']} {entry['version']} {done}")

    run(ask())
    if as_json:
        output.print_json({"procedures": found})


@app.command()
def show(
    procedure: Annotated[
        str, typer.Argument(metavar="NAME[:VERSION]", help="namespace/name; without a version the newest.")
    ],
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Print a procedure's document as it was registered. JSON: `{procedure: Procedure, document}`."""
    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    name, _, version = procedure.partition(":")

    async def ask() -> pb.GetProcedureResponse:
        request = pb.GetProcedureRequest(tenant=tenant, procedure=name, version=version)
        async with Connection(data, tenant, os.environ).planner() as planner:
            return await planner.GetProcedure(request, timeout=REQUEST_SECONDS)

    answer = run(ask())
    if as_json:
        output.print_json(output.to_json(answer))
    else:
        output.say(answer.document.rstrip("\n"))


@app.command()
def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Documents in YAML or JSON.")],
    rehearsed: Annotated[
        bool, typer.Option("--simulate", help="Also run each in memory, and report what fails whatever tools answer.")
    ] = False,
    user: Annotated[
        str, typer.Option("--for", metavar="USER", help="A person that runs act for: what policy denies is a fault.")
    ] = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Check documents as the planner does before it runs one. Exit status 1 if there are faults.

    Calls are checked against the tools of the running stack, or else against the installed ones. A running stack is
    also asked what policy denies: to the person of --for or, of a document that events or the clock start, to itself.

    JSON: `{catalog: "stack"|"installed", files: [{file, faults: [{pointer, line, column, message, advice}]}]}`.
    """
    from dataclasses import asdict

    from factotum.cli import catalog, output, permission
    from factotum.cli.connection import Connection
    from factotum.cli.documents import text_of

    texts = {path: text_of(path) for path in files}
    origin, tools = catalog.available(Connection(data, tenant, os.environ))
    faults = {path: faults_of(text, tools, rehearsed=rehearsed) for path, text in texts.items()}
    if origin == "stack":
        connection = Connection(data, tenant, os.environ)
        faults |= {path: permission.denied(connection, texts[path], user) for path in texts if not faults[path]}
    if as_json:
        found: list[dict[str, Any]] = [
            {"file": str(path), "faults": [asdict(fault) for fault in of_file]} for path, of_file in faults.items()
        ]
        output.print_json({"catalog": origin, "files": found})
    else:
        for path, of_file in faults.items():
            for fault in of_file:
                output.say(f"{path}:{fault}")
        count = sum(map(len, faults.values()))
        whose = "the running stack's tools" if origin == "stack" else "the installed tools"
        output.note(f"{len(files)} checked against {whose}: {count or 'no'} fault{'' if count == 1 else 's'}")
    raise typer.Exit(ExitStatus.FAILED if any(faults.values()) else ExitStatus.OK)


def faults_of(text: str, catalog: Catalog, *, rehearsed: bool = False) -> list[Fault]:
    """Everything that is wrong with one document; it is rehearsed only if it passes the check."""
    from factotum.procedures.check import check
    from factotum.procedures.fault import FaultyDocument
    from factotum.procedures.parse import parse
    from factotum.simulation.rehearsal import rehearse

    try:
        source = parse(text)
        return check(source, catalog) or (rehearse(source, catalog) if rehearsed else [])
    except FaultyDocument as error:
        return error.faults


app.command()(simulate.simulate)
app.command("test")(case_tests.test)
