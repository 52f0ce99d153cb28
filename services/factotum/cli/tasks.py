"""`factotum tasks`: what runs could not do and left to people."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

Json = dict[str, Any]


def tasks(
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="Of how many runs at most.")] = 50,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """List what runs that ended have left to people, the latest run first: steps to undo by hand, effects to find out
    about. JSON: `{tasks: [PersonTask]}`."""
    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.ListTasksResponse:
        request = pb.ListTasksRequest(tenant=tenant, limit=limit)
        async with Connection(data, tenant, os.environ).planner() as planner:
            return await planner.ListTasks(request, timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    if not answer["tasks"]:
        output.note("nothing is left for people")
        return
    for task in answer["tasks"]:
        output.say(f"{task['run_id']} {task['procedure']} {output.local_time(task['ended_at'])}")
        output.say(description(task))


def description(task: Json) -> str:
    """All that it takes to do the task by hand."""
    import json

    place = f"{task['step']} [{task['iteration']}]" if task["iteration"] else task["step"]
    run_id = task["idempotency_key"].partition(":/")[0]
    if task["kind"] == "undo":
        title = f"undo {place} by hand: {task['tool']}"
        advice = f"factotum effects list --run {run_id}"
    else:
        title = f"find out whether {place} happened: {task['tool']}"
        advice = f"factotum effects resolve '{task['idempotency_key']}' --happened|--did-not"
    rows = [
        ("arguments", json.dumps(task["arguments"], ensure_ascii=False)),
        ("because", task["error"]),
        ("key", task["idempotency_key"]),
        ("see", advice),
    ]
    return "\n".join([f"  {title}", *(f"    {name:<10}{value}" for name, value in rows)])
