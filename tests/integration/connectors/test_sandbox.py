"""The packaged procedures and the connectors on the sandbox: everything but Temporal and the ledger."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import yaml
from icalendar import Calendar
from pydantic import BaseModel

from factotum.connectors import calendar, hr, identity, mail
from factotum.procedures.parse import parse
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import InvalidArgument, NotFound, NotPermitted, ToolError, Unavailable
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem, of_tool_error
from factotum.workflows.step import Step
from tests.integration.connectors.conftest import listening
from tests.support.effects import InMemoryEffects
from tests.support.tool_calls import closed_port, tool_context

PROCEDURES = Path(__file__).parents[3] / "procedures"
SECRETS = {"identity": "id-t0ken", "hr": "hr-k3y", "calendar": "cal-pass", "mail": "arch-t0ken"}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The four servers of tenant acme."""

    hr: str
    scim: str
    caldav: str
    smtp: int
    archive: str

    def settings(self, system: str) -> Any:
        given: dict[str, BaseModel] = {
            "hr": hr.HrSettings(base_url=self.hr, api_key="secret://hr"),
            "identity": identity.IdentitySettings(base_url=self.scim, token="secret://identity", index_seconds=0),
            "calendar": calendar.CalendarSettings(base_url=self.caldav, username="acme", password="secret://calendar"),
            "mail": mail.MailSettings(
                host="127.0.0.1",
                port=self.smtp,
                sender="People Team <people@acme.example>",
                archive_url=self.archive,
                archive_token="secret://mail",
                archive_seconds=0,
            ),
        }
        return given[system]

    def context(self, system: str, *, key: str = "run:/do/0:0", **secrets: str) -> ToolContext[Any]:
        return tool_context(self.settings(system), key=key, **(SECRETS | secrets))

    async def new_employee(self, **fields: Any) -> str:
        given = {
            "firstName": "Ada",
            "lastName": "Lovelace",
            "workEmail": "ada@acme.example",
            "department": "Engineering",
            "jobTitle": "Analyst",
            "hireDate": "2027-03-26",
            "timezone": "Europe/Berlin",
            "status": "Active",
        }
        async with httpx2.AsyncClient(auth=(SECRETS["hr"], "x")) as http:
            response = await http.post(f"{self.hr}/employees/", json=given | fields)
        response.raise_for_status()
        return str(response.headers["Location"]).rstrip("/").rpartition("/")[2]

    async def mails_to(self, address: str) -> list[dict[str, Any]]:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {SECRETS['mail']}"}) as http:
            found: list[dict[str, Any]] = (await http.get(f"{self.archive}/messages", params={"to": address})).json()
        return found


@pytest_asyncio.fixture(scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    tenant = {
        "identity_token": SECRETS["identity"],
        "hr_api_key": SECRETS["hr"],
        "calendar_password": SECRETS["calendar"],
        "mail_archive_token": SECRETS["mail"],
    }
    tenants = folder / "tenants.yaml"
    tenants.write_text(yaml.safe_dump({"tenants": {"acme": tenant}}), encoding="utf-8")
    ports = {name: closed_port() for name in ("hr", "scim", "calendar", "mail", "archive")}

    def command(name: str, *more: str) -> tuple[str, ...]:
        options = ("--port", str(ports[name]), "--data", str(folder / "data"), "--tenants", str(tenants))
        return (sys.executable, "-m", f"factotum.dev.sandbox.{name}", *options, *more)

    async with (
        listening(*command("hr"), port=ports["hr"]),
        listening(*command("scim"), port=ports["scim"]),
        listening(*command("calendar"), port=ports["calendar"]),
        listening(*command("mail", "--archive-port", str(ports["archive"])), port=ports["archive"]),
    ):
        host = "http://127.0.0.1"
        yield Sandbox(
            hr=f"{host}:{ports['hr']}/api/gateway.php/acme/v1",
            scim=f"{host}:{ports['scim']}/acme/v2",
            caldav=f"{host}:{ports['calendar']}/acme/",
            smtp=ports["mail"],
            archive=f"{host}:{ports['archive']}/acme",
        )


class ConnectedEffects(InMemoryEffects):
    """Calls the connectors themselves, under the keys that a run would give."""

    def __init__(self, sandbox: Sandbox, run: str) -> None:
        super().__init__()
        self._sandbox, self._run = sandbox, run

    async def call(self, step: Step) -> Any:
        self.steps.append(step)
        system = step.tool.partition(".")[0]
        tool = import_module(f"factotum.connectors.{system}").connector.tools[step.tool]
        key = f"{self._run}:{step.pointer}:{step.iteration}{':undo' if step.compensation else ''}"
        try:
            output = await tool.function(
                tool.arguments.model_validate(step.arguments), self._sandbox.context(system, key=key)
            )
        except ToolError as error:
            raise of_tool_error(error.kind, error.message) from error
        return output.model_dump(mode="json", by_alias=True)


def interpreter(
    name: str, employee: str, sandbox: Sandbox, time: str = "2027-03-01T08:00:00Z"
) -> tuple[Interpreter, Any]:
    events = [{"id": "e", "time": time, "data": {"employee": {"id": employee}}}]
    document = parse((PROCEDURES / f"{name}.yaml").read_text(encoding="utf-8")).document
    effects = ConnectedEffects(sandbox, f"acme.{name}.{employee}")
    return Interpreter(document, effects, descriptor={"id": "r", "input": events}), events


async def onboarding_status(sandbox: Sandbox, employee: str) -> str | None:
    found = await hr.get_employee.function(hr.EmployeeRef(id=employee), sandbox.context("hr"))
    return found.onboardingStatus


async def events_of(sandbox: Sandbox, address: str) -> list[Any]:
    async with httpx2.AsyncClient(auth=("acme", SECRETS["calendar"])) as http:
        # Of a calendar collection Radicale gives all events as one document.
        listing = await http.get(f"{sandbox.caldav}training/")
    listing.raise_for_status()
    found = Calendar.from_ical(listing.content)
    return [event for event in found.events if str(event["ATTENDEE"]) == f"mailto:{address}"]


async def test_onboards_and_offboards(sandbox: Sandbox) -> None:
    employee = await sandbox.new_employee(firstName="Zoë", lastName="O'Neill", workEmail="zoe@acme.example")
    run, events = interpreter("employee-onboarding", employee, sandbox)
    output = await run.run(events)
    query = identity.UserQuery(externalId=employee)
    account = await identity.find_user.function(query, sandbox.context("identity"))
    assert (account.id, account.userName, account.active) == (output["account"], "zoe@acme.example", True)
    assert account.groups == ["engineering", "everyone"]
    assert [found["subject"] for found in await sandbox.mails_to("zoe@acme.example")] == ["Welcome, Zoë!"]
    # A Friday, then over the week-end in which the clocks go forward.
    starts = sorted(event.start.isoformat() for event in await events_of(sandbox, "zoe@acme.example"))
    assert starts == ["2027-03-26T09:30:00+01:00", "2027-03-29T10:00:00+02:00", "2027-03-30T14:00:00+02:00"]
    assert await onboarding_status(sandbox, employee) == "Completed"

    # On the first day, after its training: the other two are still ahead.
    run, events = interpreter("employee-offboarding", employee, sandbox, "2027-03-26T12:00:00Z")
    await run.run(events)
    account = await identity.find_user.function(query, sandbox.context("identity"))
    assert (account.active, account.groups) == (False, [])
    starts = [event.start.isoformat() for event in await events_of(sandbox, "zoe@acme.example")]
    assert starts == ["2027-03-26T09:30:00+01:00"]
    assert await onboarding_status(sandbox, employee) == "Offboarded"
    assert len(await sandbox.mails_to("people@acme.example")) == 1


async def test_an_offboarding_taken_back_leaves_the_account_barred(sandbox: Sandbox) -> None:
    employee = await sandbox.new_employee(firstName="Lea", workEmail="lea@acme.example")
    run, events = interpreter("employee-onboarding", employee, sandbox)
    await run.run(events)
    before = [str(event["SUMMARY"]) for event in await events_of(sandbox, "lea@acme.example")]
    assert len(before) == 3
    run, events = interpreter("employee-offboarding", employee, sandbox)
    await run.run(events)
    assert await events_of(sandbox, "lea@acme.example") == []
    for done in run.journal.backwards():
        await run.undo(done)
    account = await identity.find_user.function(identity.UserQuery(externalId=employee), sandbox.context("identity"))
    assert (account.active, account.groups) == (False, ["engineering", "everyone"])
    after = [str(event["SUMMARY"]) for event in await events_of(sandbox, "lea@acme.example")]
    assert sorted(after) == sorted(before)
    assert await onboarding_status(sandbox, employee) == "Completed"


async def test_a_refused_account_leaves_nothing(sandbox: Sandbox) -> None:
    namesake = identity.NewUser(userName="eve@acme.example", externalId="other", givenName="Eve", familyName="Else")
    await identity.create_user.function(namesake, sandbox.context("identity"))
    employee = await sandbox.new_employee(firstName="Eve", workEmail="eve@acme.example")
    run, events = interpreter("employee-onboarding", employee, sandbox)
    with pytest.raises(Problem, match="already in use"):
        await run.run(events)
    assert list(run.journal.backwards()) == []
    assert await sandbox.mails_to("eve@acme.example") == []


async def test_everything_is_taken_back(sandbox: Sandbox) -> None:
    employee = await sandbox.new_employee(firstName="Tim", workEmail="tim@acme.example")
    run, events = interpreter("employee-onboarding", employee, sandbox)
    await run.run(events)
    for done in run.journal.backwards():
        await run.undo(done)
    account = await identity.find_user.function(identity.UserQuery(externalId=employee), sandbox.context("identity"))
    assert (account.active, account.groups) == (False, [])
    assert await events_of(sandbox, "tim@acme.example") == []
    assert await onboarding_status(sandbox, employee) == "Pending"
    subjects = [found["subject"] for found in await sandbox.mails_to("tim@acme.example")]
    assert subjects == ["Welcome, Tim!", "Please disregard our welcome mail"]


async def test_hr_in_its_own_words(sandbox: Sandbox) -> None:
    context = sandbox.context("hr")
    with pytest.raises(NotFound):
        await hr.get_employee.function(hr.EmployeeRef(id="99999"), context)
    employee = await sandbox.new_employee(workEmail="hr-words@acme.example")
    with pytest.raises(InvalidArgument, match="shoeSize"):
        await hr.update_employee.function(hr.EmployeeUpdate(id=employee, fields={"shoeSize": 43}), context)
    with pytest.raises(NotPermitted):
        await hr.get_employee.function(hr.EmployeeRef(id=employee), sandbox.context("hr", hr="wr0ng"))
    found = await hr.get_employee.function(hr.EmployeeRef(id=employee), context)
    assert (found.displayName, str(found.hireDate), found.status) == ("Ada Lovelace", "2027-03-26", "Active")


async def test_the_archive_knows_what_was_sent(sandbox: Sandbox) -> None:
    message = mail.Message(to="ada@acme.example", subject="Archived", text="x")
    context = sandbox.context("mail", key="archived")
    assert mail.send.reconciler is not None
    assert await mail.send.reconciler(message, context) is None
    receipt = await mail.send.function(message, context)
    assert await mail.send.reconciler(message, context) == receipt
    with pytest.raises(Unavailable):
        await mail.send.reconciler(message, sandbox.context("mail", key="archived", mail="wr0ng"))
