"""`factotum publish`: an event, by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli.errors import BadInput, CommandError, ExitStatus
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
    from factotum.events.envelope import Event


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CloudEvent in JSON or YAML; `-` for standard input.")],
    wait: Annotated[bool, typer.Option("--wait", help="Follow the runs it starts to their end.")] = False,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Publish an event through the gateway and name the runs it starts.

    Exit status: 0 acknowledged and, with --wait, every run completed; 1 a run did not complete; 2 the
    event was refused; 3 --timeout is up while a run goes on. The same file again is the same event, and
    starts nothing new. FACTOTUM_GATEWAY_URL and FACTOTUM_TOKEN name a gateway elsewhere.

    JSON: `{id, type, tenant, plans: [{run_id, procedure, procedure_version}], runs: [Run]}`; plans is
    null if the planner could not be asked, runs is filled with --wait.
    """
    from factotum.cli import displays, output
    from factotum.cli.connection import Connection, run
    from factotum.cli.event_file import read_event
    from factotum.cli.following import outcome

    event = read_event(_text(file), tenant)
    connection = Connection(data, tenant, os.environ)
    result: dict[str, Any] = {"id": event.id, "type": event.type, "tenant": tenant, "plans": None, "runs": []}

    async def work() -> ExitStatus:
        await _send(connection, event)
        if not as_json:
            output.say(f"published {event.id} ({event.type})")
        try:
            result["plans"] = await _plans(connection, event)
        except CommandError as error:
            if wait:
                raise
            output.note(f"which runs it starts cannot be said: {error}")
            return ExitStatus.OK
        if not as_json:
            _name(result["plans"], event)
        if not wait or not result["plans"]:
            return ExitStatus.OK
        run_ids = [plan["run_id"] for plan in result["plans"]]
        with displays.quiet() if as_json else displays.display() as display:
            result["runs"] = await _follow(connection, run_ids, display, timeout)
        return outcome(result["runs"])

    status = run(work())
    if as_json:
        output.print_json(result)
    raise typer.Exit(status)


def _text(file: Path) -> str:
    try:
        if str(file) == "-":
            return typer.get_text_stream("stdin").read()
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error


async def _send(connection: Connection, event: Event) -> None:
    from factotum.cli.http import request
    from factotum.events.envelope import CONTENT_TYPE

    url, token = connection.gateway()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": CONTENT_TYPE}
    await request("gateway", "POST", f"{url}/v1/events", content=event.to_bytes(), headers=headers)


async def _plans(connection: Connection, event: Event) -> list[dict[str, Any]]:
    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli.connection import REQUEST_SECONDS
    from factotum.cli.output import to_json

    asked = pb.PlanRequest(tenant=event.tenant, event_json=event.to_bytes().decode())
    async with connection.planner() as planner:
        answer = await planner.Plan(asked, timeout=REQUEST_SECONDS)
    return [to_json(plan) for plan in answer.plans]


async def _follow(connection: Connection, run_ids: list[str], display: Any, timeout: float) -> list[dict[str, Any]]:
    from factotum.cli.following import follow_all

    async with connection.planner() as planner:
        return await follow_all(planner, connection.tenant, run_ids, display, timeout=timeout, appearing=True)


def _name(plans: list[dict[str, Any]], event: Event) -> None:
    from factotum.cli import output

    if not plans:
        output.note(
            f"no procedure starts on {event.type} by itself; a run that listens, or one that starts on several events, "
            "may take it: `factotum procedures list` shows what starts on what"
        )
    for plan in plans:
        output.say(f"starts {plan['run_id']} ({plan['procedure']} {plan['procedure_version']})")
