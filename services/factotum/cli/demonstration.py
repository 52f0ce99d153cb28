"""What `factotum demo` does and shows."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx2

from factotum.api.memory.v1 import memory_pb2
from factotum.api.planner.v1 import planner_pb2
from factotum.cli import displays, output
from factotum.cli.connection import REQUEST_SECONDS, Connection
from factotum.cli.errors import CommandError, ExitStatus, StackNotRunning, TimedOut
from factotum.cli.following import follow_all
from factotum.dev.demo import TIMEOUT_SECONDS, Finding, Sandbox, Systems
from factotum.dev.hires import Hire, next_hire

Json = dict[str, Any]

PROCEDURE = "hr/employee-onboarding"
PAUSE_SECONDS = 0.2
# Memory takes outcomes in batches, a moment after the run has ended.
MEMORY_SECONDS = 30.0
# Characters of an episode that the table shows.
EXCERPT = 120


async def demonstrate(data: Path, tenant: str, *, timeout: float, as_json: bool) -> ExitStatus:
    """Hires, follows, reads back, shows. OK only if all of it is there."""
    connection = Connection(data, tenant, os.environ)
    deadline = time.monotonic() + timeout
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
        sandbox = Sandbox(systems(connection), http)
        try:
            before = await _run_ids(connection)
            hire = next_hire(await sandbox.addresses(), tenant=tenant, today=date.today())
            employee_id = await sandbox.hire(hire)
            _tell(f"hired {hire.name} ({hire.department}, {hire.timezone}), employee {employee_id} in HR", as_json)
            run = await _follow(connection, before, employee_id, deadline, as_json=as_json)
            findings = [
                await sandbox.employee(hire, employee_id),
                await sandbox.account(hire, employee_id),
                await sandbox.mail(hire),
                await sandbox.calendar(hire),
            ]
        except httpx2.HTTPStatusError as error:
            raise CommandError(f"{error.request.url} answered {error.response.status_code}") from error
        except httpx2.RequestError as error:
            raise StackNotRunning(
                f"{error.request.url} does not answer: `factotum dev status` shows what runs"
            ) from error
    findings.append(await remembered(connection, hire, run["id"], seconds=MEMORY_SECONDS))
    ok = run["status"] == "completed" and all(finding.there for finding in findings)
    if as_json:
        found = [finding.model_dump() for finding in findings]
        employee = {"id": employee_id, **hire.model_dump(mode="json")}
        output.print_json({"employee": employee, "run": run, "findings": found, "ok": ok})
    else:
        _show(hire, run, findings, ok=ok)
    return ExitStatus.OK if ok else ExitStatus.FAILED


def systems(connection: Connection) -> Systems:
    """Where the sandbox of the local stack is. Raises `StackNotRunning`, `CommandError`."""
    stack, tenant = connection.stack(), connection.tenant
    return Systems(
        tenant=tenant,
        hr_url=f"{stack.address('sandbox-hr', 'http')}/api/gateway.php/{tenant}/v1",
        hr_api_key=connection.secret("hr-api-key"),
        identity_url=f"{stack.address('sandbox-identity', 'http')}/{tenant}/v2",
        identity_token=connection.secret("identity-token"),
        archive_url=f"{stack.address('sandbox-mail', 'archive')}/{tenant}",
        archive_token=connection.secret("mail-archive-token"),
        calendar_url=f"{stack.address('sandbox-calendar', 'http')}/{tenant}",
        calendar_password=connection.secret("calendar-password"),
    )


async def remembered(
    connection: Connection,
    hire: Hire,
    run_id: str,
    *,
    seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> Finding:
    """Whether a question in plain words finds the run; asked again for as long as `seconds`."""
    request = memory_pb2.RecallRequest(
        tenant=connection.tenant,
        query=f"what did we do for {hire.name}",
        kinds=[memory_pb2.KIND_EPISODE],
        limit=20,
    )
    deadline = monotonic() + seconds
    async with connection.memory() as memory:
        while True:
            answer = await memory.Recall(request, timeout=REQUEST_SECONDS)
            for found in answer.recollections:
                if found.record.run_id == run_id:
                    text = f"“{request.query}”: {output.excerpt(found.record.text, EXCERPT)}"
                    return Finding(system="Memory", protocol="gRPC Recall", there=True, found=text)
            if monotonic() >= deadline:
                missing = f"no episode of {run_id} for “{request.query}”"
                return Finding(system="Memory", protocol="gRPC Recall", there=False, found=missing)
            await asyncio.sleep(PAUSE_SECONDS)


async def _run_ids(connection: Connection) -> set[str]:
    request = planner_pb2.ListRunsRequest(tenant=connection.tenant, limit=500, procedure=PROCEDURE)
    async with connection.planner() as planner:
        answer = await planner.ListRuns(request, timeout=REQUEST_SECONDS)
    return {run.id for run in answer.runs}


async def _follow(
    connection: Connection, before: set[str], employee_id: str, deadline: float, *, as_json: bool
) -> Json:
    """The ended run of the employee: among those that were not there before, the one that says so.

    A run that failed has no output to say it; it is taken where it is the only one.
    """
    ended: list[Json] = []
    while True:
        fresh = await _run_ids(connection) - before - {run["id"] for run in ended}
        async with connection.planner() as planner:
            for run_id in sorted(fresh):
                left = max(0.0, deadline - time.monotonic())
                with displays.quiet() if as_json else displays.display() as display:
                    ended += await follow_all(planner, connection.tenant, [run_id], display, timeout=left)
                if (ended[-1]["output"] or {}).get("employee") == employee_id:
                    return ended[-1]
        if len(ended) == 1 and ended[0]["status"] != "completed":
            return ended[0]
        if time.monotonic() >= deadline:
            raise TimedOut(
                f"no run of {PROCEDURE} for employee {employee_id} in time: `factotum dev status` shows what runs, "
                "`factotum dead-letter list` what could not be run"
            )
        await asyncio.sleep(PAUSE_SECONDS)


def _tell(text: str, as_json: bool) -> None:
    if as_json:
        output.note(text)
    else:
        output.say(text)


def _show(hire: Hire, run: Json, findings: list[Finding], *, ok: bool) -> None:
    console = output.console()
    table = output.table("", "system", "read over", "what stands there")
    for finding in findings:
        mark = "[green]✓[/]" if finding.there else "[red]✗[/]"
        table.add_row(mark, finding.system, finding.protocol, output.cell(finding.found))
    console.print()
    console.print(table)
    console.print(displays.run_details(run, datetime.now(UTC)), soft_wrap=True)
    console.print()
    if ok:
        console.print(output.printable(f"{hire.name} is onboarded."), markup=False, style="green")
    else:
        missing = ", ".join(finding.system for finding in findings if not finding.there) or "the run itself"
        console.print(f"Not all of it is there: {missing}.", style="red")
        advice = f"`factotum show {run['id']}` shows the steps, `factotum dev status` what runs, .factotum/logs why."
        console.print(output.printable(advice), markup=False)
    console.print("The stack is still running: `factotum dev down` stops it.", markup=False)
