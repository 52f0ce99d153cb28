"""The sandbox's real servers, and in them a world for each tool of the connectors that speak to them, or to any."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx2

from factotum.connectors.calendar import CalendarSettings
from factotum.connectors.hr import HrSettings
from factotum.connectors.identity import IdentitySettings
from factotum.connectors.mail import MailSettings
from factotum.connectors.protocols.http import HttpSettings
from factotum.connectors.protocols.openapi import OpenapiSettings
from factotum.sdk.testing import World
from factotum.tool_executor import registry
from tests.integration.sandbox.conftest import TENANTS, Sandbox
from tests.support.notes import Notes, notes
from tests.support.processes import free_port
from tests.support.tool_calls import closed_port, tool_context

ACME = TENANTS["acme"]
INSTALLED = {tool.spec.name: tool for tool in registry.load(None).tools}

AnyWorld: TypeAlias = World[Any]
Arguments: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Systems:
    """The sandbox's servers by their addresses, and clients that look into them."""

    identity: str
    hr: str
    smtp: int
    archive: str
    calendar: str
    notes: Notes

    def scim(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=f"{self.identity}/", headers={"Authorization": f"Bearer {ACME['identity_token']}"}
        )

    def employees(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=f"{self.hr}/employees/", auth=(ACME["hr_api_key"], "x"))

    def mails(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=f"{self.archive}/", headers={"Authorization": f"Bearer {ACME['mail_archive_token']}"}
        )

    def events(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.calendar, auth=("acme", ACME["calendar_password"]))


@asynccontextmanager
async def sandbox_systems(folder: Path) -> AsyncIterator[Systems]:
    """Runs the servers until the block ends."""
    sandbox = Sandbox(folder)
    scim, hr, smtp, archive, calendar = (free_port() for _ in range(5))
    try:
        await sandbox.scim(scim)
        await sandbox.hr(hr)
        await sandbox.mail(smtp, archive)
        await sandbox.calendar(calendar)
        host = "http://127.0.0.1"
        async with notes() as noting:
            yield Systems(
                f"{host}:{scim}/acme/v2",
                f"{host}:{hr}/api/gateway.php/acme/v1",
                smtp,
                f"{host}:{archive}/acme",
                f"{host}:{calendar}/acme/",
                noting,
            )
    finally:
        for process in sandbox.running:
            await process.stop()


NOWHERE = f"http://127.0.0.1:{closed_port()}/acme"


# Identity


def identity(systems: Systems, **world: Any) -> AnyWorld:
    settings = IdentitySettings(base_url=systems.identity, token="secret://token", index_seconds=0)
    away = settings.model_copy(update={"base_url": NOWHERE})
    return World(settings=settings, away=away, secrets={"token": ACME["identity_token"]}, **world)


def new_user(name: str, number: int) -> dict[str, Any]:
    return {
        "userName": f"{name}{number}@acme.example",
        "externalId": f"{name}-{number}",
        "givenName": "Ada",
        "familyName": f"Lovelace {number}",
    }


async def account(systems: Systems, name: str, number: int, *, active: bool = True) -> str:
    given = new_user(name, number)
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": given["userName"],
        "externalId": given["externalId"],
        "active": active,
    }
    async with systems.scim() as http:
        response = (await http.post("Users", json=body)).raise_for_status()
    return str(response.json()["id"])


def create_user(systems: Systems) -> AnyWorld:
    async def standing(arguments: Arguments) -> int:
        async with systems.scim() as http:
            query = {"filter": f'userName eq "{arguments["userName"]}" and active eq true'}
            return int((await http.get("Users", params=query)).json()["totalResults"])

    return identity(systems, arguments=lambda number: new_user("new", number), standing=standing)


def find_user(systems: Systems) -> AnyWorld:
    async def arguments(number: int) -> Arguments:
        await account(systems, "found", number)
        return {"externalId": f"found-{number}"}

    return identity(systems, arguments=arguments)


def switched(name: str, *, before: bool) -> Callable[[Systems], AnyWorld]:
    def world(systems: Systems) -> AnyWorld:
        async def arguments(number: int) -> Arguments:
            return {"id": await account(systems, name, number, active=before)}

        async def standing(arguments: Arguments) -> int:
            async with systems.scim() as http:
                return int((await http.get(f"Users/{arguments['id']}")).json()["active"] is not before)

        return identity(systems, arguments=arguments, standing=standing)

    return world


async def members(http: httpx2.AsyncClient, group: str) -> list[str]:
    found = (await http.get("Groups", params={"filter": f'displayName eq "{group}"'})).json()["Resources"][0]
    return [member["value"] for member in found.get("members", [])]


def membership(name: str, *, before: bool) -> Callable[[Systems], AnyWorld]:
    def world(systems: Systems) -> AnyWorld:
        async def arguments(number: int) -> Arguments:
            user = await account(systems, name, number)
            if before:
                async with systems.scim() as http:
                    query = {"filter": 'displayName eq "sales"'}
                    group = (await http.get("Groups", params=query)).json()["Resources"][0]["id"]
                    operation = {"op": "add", "path": "members", "value": [{"value": user}]}
                    schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
                    body = {"schemas": schemas, "Operations": [operation]}
                    (await http.patch(f"Groups/{group}", json=body)).raise_for_status()
            return {"userId": user, "group": "sales"}

        async def standing(arguments: Arguments) -> int:
            async with systems.scim() as http:
                times = (await members(http, arguments["group"])).count(arguments["userId"])
            return int(not times) if before else times

        return identity(systems, arguments=arguments, standing=standing)

    return world


# HR


def hr(systems: Systems, **world: Any) -> AnyWorld:
    settings = HrSettings(base_url=systems.hr, api_key="secret://key")
    away = settings.model_copy(update={"base_url": NOWHERE})
    return World(settings=settings, away=away, secrets={"key": ACME["hr_api_key"]}, **world)


async def employee(systems: Systems, number: int) -> str:
    person = {"firstName": "Ada", "lastName": f"Lovelace {number}"}
    async with systems.employees() as http:
        response = (await http.post("", json=person)).raise_for_status()
    return str(response.headers["Location"].rpartition("/")[2])


def get_employee(systems: Systems) -> AnyWorld:
    async def arguments(number: int) -> Arguments:
        return {"id": await employee(systems, number)}

    return hr(systems, arguments=arguments)


def update_employee(systems: Systems) -> AnyWorld:
    async def arguments(number: int) -> Arguments:
        return {"id": await employee(systems, number), "fields": {"onboardingStatus": "Completed"}}

    async def standing(arguments: Arguments) -> int:
        async with systems.employees() as http:
            record = (await http.get(arguments["id"], params={"fields": "onboardingStatus"})).json()
        return int(record["onboardingStatus"] == "Completed")

    return hr(systems, arguments=arguments, standing=standing)


# Mail


def send(systems: Systems) -> AnyWorld:
    async def standing(arguments: Arguments) -> int:
        async with systems.mails() as http:
            return len((await http.get("messages", params={"to": arguments["to"]})).json())

    settings = MailSettings(
        host="127.0.0.1",
        port=systems.smtp,
        sender="People Team <people@acme.example>",
        archive_url=systems.archive,
        archive_token="secret://archive",
        archive_seconds=0,
    )
    away = settings.model_copy(update={"port": closed_port(), "archive_url": NOWHERE})
    return World(
        settings=settings,
        away=away,
        secrets={"archive": ACME["mail_archive_token"]},
        arguments=lambda number: {"to": f"ada{number}@acme.example", "subject": f"Hello {number}", "text": "Welcome"},
        standing=standing,
        invalid=[{"to": "ada@acme.example", "subject": "two\nlines", "text": ""}],
    )


# Calendar


def calendar(systems: Systems, **world: Any) -> AnyWorld:
    settings = CalendarSettings(base_url=systems.calendar, username="acme", password="secret://password")
    away = settings.model_copy(update={"base_url": NOWHERE})
    return World(settings=settings, away=away, secrets={"password": ACME["calendar_password"]}, **world)


def training(name: str, number: int) -> dict[str, Any]:
    return {
        "summary": f"{name} {number}",
        "start": "2026-11-30T09:30:00",
        "durationMinutes": 90,
        "timeZone": "Europe/Berlin",
        "attendees": [f"{name}{number}@acme.example"],
    }


async def summaries(systems: Systems, summary: str) -> int:
    async with systems.events() as http:
        report = await http.request(
            "REPORT",
            "training/",
            content='<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop>'
            '<C:calendar-data/></D:prop><C:filter><C:comp-filter name="VCALENDAR"/></C:filter></C:calendar-query>',
            headers={"Depth": "1", "Content-Type": "application/xml"},
        )
    return len(re.findall(rf"SUMMARY:{re.escape(summary)}\s", report.text.replace("&#13;", "\r")))


def schedule(systems: Systems) -> AnyWorld:
    async def standing(arguments: Arguments) -> int:
        return await summaries(systems, arguments["summary"])

    return calendar(systems, arguments=lambda number: training("schedule", number), standing=standing)


async def scheduled(systems: Systems, name: str, number: int) -> str:
    tool, world = INSTALLED["calendar.schedule"], schedule(systems)
    context = tool_context(world.settings, key=f"{name}-{number}", **world.secrets)
    made = await tool.function(tool.arguments.model_validate(training(name, number)), context)
    return str(made.uid)


def cancel(systems: Systems) -> AnyWorld:
    async def arguments(number: int) -> Arguments:
        return {"uid": await scheduled(systems, "cancel", number)}

    async def standing(arguments: Arguments) -> int:
        async with systems.events() as http:
            return int((await http.get(f"training/{arguments['uid']}.ics")).status_code in (404, 410))

    return calendar(systems, arguments=arguments, standing=standing)


def find(systems: Systems) -> AnyWorld:
    return calendar(
        systems, arguments=lambda number: {"attendee": f"find{number}@acme.example", "from": "2026-11-01T00:00:00Z"}
    )


def working_days(systems: Systems) -> AnyWorld:
    return replace(calendar(systems, arguments=lambda _: {"from": "2026-11-27", "count": 3}), away=None, secrets={})


# Any system, where the address is an argument: nothing in the settings leads elsewhere, so they have no `away`


def request(systems: Systems) -> AnyWorld:
    """A PUT, to the calendar."""

    def arguments(number: int) -> Arguments:
        who = {"basic": {"username": "acme", "password": ACME["calendar_password"]}}
        event = (f"UID:web-{number}", "DTSTAMP:20261124T090000Z", "DTSTART:20261130T090000Z", f"SUMMARY:Web {number}")
        lines = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", *event, "END:VEVENT", "END:VCALENDAR")
        return {
            "method": "put",
            "endpoint": {"uri": f"{systems.calendar}training/web-{number}.ics", "authentication": who},
            "headers": {"Content-Type": "text/calendar; charset=utf-8"},
            "body": "".join(f"{line}\r\n" for line in lines),
        }

    async def standing(arguments: Arguments) -> int:
        async with systems.events() as http:
            return int((await http.get(arguments["endpoint"]["uri"])).status_code == 200)

    there = {"method": "put", "endpoint": systems.calendar}
    return World(
        settings=HttpSettings(allow=["http://127.0.0.1:*"]),
        arguments=arguments,
        standing=standing,
        invalid=[
            {**there, "endpoint": "ftp://127.0.0.1/"},
            {**there, "headers": {"X-HTTP-Method-Override": "DELETE"}},
            {**there, "headers": {"a b": "c"}},
        ],
    )


def call(systems: Systems) -> AnyWorld:
    """A POST with an Idempotency-Key, to a system that knows it."""

    def arguments(number: int) -> Arguments:
        return {
            "document": {"endpoint": f"{systems.notes.url}/openapi.json"},
            "operationId": "take",
            "parameters": {"idempotency-key": f"call-{number}", "text": f"Note {number}"},
        }

    async def standing(arguments: Arguments) -> int:
        return systems.notes.standing(arguments["parameters"]["text"])

    return World(
        settings=OpenapiSettings(allow=[systems.notes.url]),
        arguments=arguments,
        standing=standing,
        invalid=[
            {**arguments(0), "operationId": "no such"},
            {**arguments(0), "parameters": {"text": "without a key"}},
        ],
    )


WORLDS: dict[str, Callable[[Systems], AnyWorld]] = {
    "identity.create_user": create_user,
    "identity.find_user": find_user,
    "identity.activate_user": switched("activate", before=False),
    "identity.deactivate_user": switched("deactivate", before=True),
    "identity.add_to_group": membership("add", before=False),
    "identity.remove_from_group": membership("remove", before=True),
    "hr.get_employee": get_employee,
    "hr.update_employee": update_employee,
    "mail.send": send,
    "calendar.schedule": schedule,
    "calendar.cancel": cancel,
    "calendar.find": find,
    "calendar.working_days": working_days,
    "http.request": request,
    "openapi.call": call,
}
