"""`factotum runs`, `show`, `watch`, `cancel`: what became of events."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from factotum.cli.options import (
    DEFAULT_DATA,
    DEFAULT_TENANT,
    DataOption,
    JsonOption,
    TenantOption,
)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run; `factotum runs` lists them.")]


def runs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many at most.")] = 50,
    procedure: Annotated[str, typer.Option("--procedure", help="Only runs of this one: namespace/name.")] = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """List the runs, newest first. JSON: `{runs: [Run without what only one run has: output, steps, tasks …]}`."""
    from datetime import UTC, datetime

    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.ListRunsResponse:
        request = pb.ListRunsRequest(tenant=tenant, limit=limit, procedure=procedure)
        async with Connection(data, tenant, os.environ).planner() as planner:
            return await planner.ListRuns(request, timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    for entry in answer["runs"]:
        for name in ("output", "steps", "tasks", "approvals", "steps_left_out", "waits_until"):
            del entry[name]  # only in GetRun and WatchRun
    if as_json:
        output.print_json(answer)
        return
    if not answer["runs"]:
        output.note(f"tenant {tenant} has no runs yet: `factotum publish` an event, or try `factotum demo`")
        return
    table = output.table("run", "procedure", "status", "started", "duration", "event", whole=("run", "status"))
    for entry in answer["runs"]:
        table.add_row(
            output.cell(entry["id"]),
            output.cell(f"{entry['procedure']} {entry['procedure_version']}"),
            output.coloured(entry["status"]),
            output.local_time(entry["started_at"]),
            output.duration(entry["started_at"], entry["ended_at"], datetime.now(UTC)),
            output.cell(entry["event_type"]),
        )
    output.console().print(table)


def show(
    run_id: RunArgument,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Show one run, its steps, what waits for people in it and what is left for them. JSON: Run."""
    from datetime import UTC, datetime

    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import displays, output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.GetRunResponse:
        request = pb.GetRunRequest(tenant=tenant, run_id=run_id)
        async with Connection(data, tenant, os.environ).planner() as planner:
            return await planner.GetRun(request, timeout=REQUEST_SECONDS)

    found = output.to_json(run(ask()).run)
    if as_json:
        output.print_json(found)
        return
    now = datetime.now(UTC)
    console = output.console()
    console.print(displays.run_details(found, now), soft_wrap=True)
    console.print(displays.steps_table(found, now))
    for text in displays.for_people(found):
        console.print(text, soft_wrap=True)
    if found["output"] is not None:
        console.print_json(data=found["output"])


def watch(
    run_id: RunArgument,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.0, help="Seconds to wait at the longest; without it, no end.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Follow a run to its end. Exit status: 0 completed, 1 not completed, 3 time is up.

    JSON: one Run a line, at every change; the last one has ended.
    """
    from factotum.cli import displays
    from factotum.cli.connection import Connection, run
    from factotum.cli.following import Json, follow_all, outcome

    async def work() -> list[Json]:
        with displays.display(as_json=as_json) as display:
            async with Connection(data, tenant, os.environ).planner() as planner:
                return await follow_all(planner, tenant, [run_id], display, timeout=timeout)

    raise typer.Exit(outcome(run(work())))


def cancel(
    run_id: RunArgument,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Ask a run to end. It undoes what it did, in reverse order; `factotum watch RUN` follows it. JSON: `{run_id}`."""
    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> None:
        request = pb.CancelRunRequest(tenant=tenant, run_id=run_id)
        async with Connection(data, tenant, os.environ).planner() as planner:
            await planner.CancelRun(request, timeout=REQUEST_SECONDS)

    run(ask())
    if as_json:
        output.print_json({"run_id": run_id})
    else:
        output.say(f"{run_id} was asked to end; it undoes what it did first: `factotum watch {run_id}`")
