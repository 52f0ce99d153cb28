"""`factotum run`: a procedure, by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli.errors import BadInput, ExitStatus
from factotum.cli.options import (
    DEFAULT_DATA,
    DEFAULT_TENANT,
    DEFAULT_TIMEOUT,
    DataOption,
    JsonOption,
    TenantOption,
    TimeoutOption,
)

if TYPE_CHECKING:
    from factotum.cli.connection import Connection

Json = dict[str, Any]


def run(
    procedure: Annotated[str, typer.Argument(metavar="PROCEDURE", help="namespace/name.")],
    version: Annotated[str, typer.Option("--version", help="Without it, the newest.")] = "",
    given: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="The run's input, JSON or YAML; `-`: standard input.")
    ] = None,
    request_id: Annotated[
        str, typer.Option("--request-id", help="The same one again starts no second run. Without it, a new one.")
    ] = "",
    user: Annotated[
        str, typer.Option("--for", metavar="USER", help="The person that the run acts for, with whose permission.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "--wait", help="Follow the run to its end.")] = False,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Start a run of a procedure.

    Exit status: 0 started and, with --watch, completed; 1 refused, or not completed; 2 bad input; 3 --timeout is up
    while it goes on.

    JSON: `{run_id, procedure, procedure_version, started, run: Run}`; started is false for a request that was made
    before; run is as it stands or, with --watch, as it ended.
    """
    import json
    import uuid

    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import displays, output
    from factotum.cli.connection import Connection
    from factotum.cli.connection import run as run_to_its_end
    from factotum.cli.following import outcome

    try:
        input_json = "" if given is None else json.dumps(_value(given), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"what YAML has and JSON has not is no part of an input: {error}") from error
    request = pb.StartRunRequest(
        tenant=tenant,
        procedure=procedure,
        version=version,
        input_json=input_json,
        request_id=request_id or uuid.uuid4().hex,
        user=user,
    )
    connection = Connection(data, tenant, os.environ)

    async def work() -> tuple[Json, ExitStatus]:
        found = await _start(connection, request)
        if not as_json:
            done = "started" if found["started"] else "was started before:"
            output.say(f"{done} {found['run_id']} ({found['procedure']} {found['procedure_version']})")
            if found["run"]["ui_url"]:
                output.say(f"Temporal UI: {found['run']['ui_url']}")
        if not watch:
            return found, ExitStatus.OK
        with displays.quiet() if as_json else displays.display() as display:
            found["run"] = await _follow(connection, found["run_id"], display, timeout)
        return found, outcome([found["run"]])

    found, status = run_to_its_end(work())
    if as_json:
        output.print_json(found)
    raise typer.Exit(status)


def _value(file: Path) -> Any:
    from factotum.cli.event_file import read_value

    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return read_value(text)


async def _start(connection: Connection, request: Any) -> Json:
    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli.connection import REQUEST_SECONDS
    from factotum.cli.output import to_json

    async with connection.planner() as planner:
        answer = await planner.StartRun(request, timeout=REQUEST_SECONDS)
        run_id = answer.plan.run_id
        asked = pb.GetRunRequest(tenant=connection.tenant, run_id=run_id)
        current = await planner.GetRun(asked, timeout=REQUEST_SECONDS)
    return {**to_json(answer.plan), "started": answer.started, "run": to_json(current.run)}


async def _follow(connection: Connection, run_id: str, display: Any, timeout: float) -> Json:
    from factotum.cli.following import follow_all

    async with connection.planner() as planner:
        (ended,) = await follow_all(planner, connection.tenant, [run_id], display, timeout=timeout)
    return ended
