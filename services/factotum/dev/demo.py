"""Hiring somebody in the sandbox, and reading back, from each system over its own protocol, what came of it."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx2
from icalendar import Calendar
from pydantic import BaseModel

from factotum.dev.hires import Hire

TIMEOUT_SECONDS = 15.0
ONBOARDED = "Completed"
TRAININGS = 3

_SCIM_TYPE = "application/scim+json"
_CALDAV = "{urn:ietf:params:xml:ns:caldav}"
# RFC 4791 §7.8: the events that have this attendee.
_QUERY = """<?xml version="1.0" encoding="utf-8"?>
<c:calendar-query xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">
  <d:prop><c:calendar-data/></d:prop>
  <c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT">
    <c:prop-filter name="ATTENDEE"><c:text-match>{attendee}</c:text-match></c:prop-filter>
  </c:comp-filter></c:comp-filter></c:filter>
</c:calendar-query>"""


class Finding(BaseModel):
    """What stands in one system.

    Attributes:
        there: whether it is all that should be there.
        found: what there is, in words.
    """

    system: str
    protocol: str
    there: bool
    found: str


@dataclass(frozen=True, slots=True)
class Systems:
    """One tenant's addresses and credentials in the sandbox; see sandbox/README.md."""

    tenant: str
    hr_url: str
    hr_api_key: str
    identity_url: str
    identity_token: str
    archive_url: str
    archive_token: str
    calendar_url: str
    calendar_password: str


class Sandbox:
    """The systems, over their own protocols. Every method raises `httpx2.HTTPError` if one refuses or is away."""

    def __init__(self, systems: Systems, http: httpx2.AsyncClient) -> None:
        self._systems = systems
        self._http = http

    async def addresses(self) -> set[str]:
        """The work addresses that HR knows."""
        directory = await self._hr("GET", "employees/directory")
        return {employee["workEmail"] for employee in directory.json()["employees"] if employee.get("workEmail")}

    async def hire(self, hire: Hire) -> str:
        """Creates the employee, of which HR then tells the gateway, and returns the id."""
        created = await self._hr("POST", "employees/", json=hire.model_dump(mode="json"))
        return created.headers["Location"].rstrip("/").rpartition("/")[2]

    async def employee(self, hire: Hire, employee_id: str) -> Finding:
        answer = await self._hr("GET", f"employees/{employee_id}", params={"fields": "onboardingStatus"})
        status = answer.json().get("onboardingStatus") or "nothing"
        return Finding(
            system="HR",
            protocol="BambooHR API",
            there=status == ONBOARDED,
            found=f"employee {employee_id} {hire.name}, onboardingStatus {status}",
        )

    async def account(self, hire: Hire, employee_id: str) -> Finding:
        """One active account with the employee's id, in `everyone` and in the group of the department."""
        users = await self._scim("Users", f'externalId eq "{employee_id}"')
        groups = [group for user in users for group in await self._scim("Groups", f'members.value eq "{user["id"]}"')]
        names = sorted(group["displayName"] for group in groups)
        there = (
            len(users) == 1
            and users[0]["userName"].casefold() == hire.workEmail
            and users[0].get("active", True)
            and names == sorted(["everyone", hire.department.lower()])
        )
        joined = ", ".join(names) or "none"
        accounts = ", ".join(user["userName"] for user in users) or "no account"
        return Finding(
            system="Identity",
            protocol="SCIM 2.0",
            there=there,
            found=f"{accounts}; groups {joined}",
        )

    async def mail(self, hire: Hire) -> Finding:
        """Exactly one mail, whose raw message is addressed to the employee."""
        url = f"{self._systems.archive_url}/messages"
        headers = {"Authorization": f"Bearer {self._systems.archive_token}"}
        listed = (await self._get(url, headers=headers, params={"to": hire.workEmail})).json()
        messages = [
            email.message_from_bytes(
                (await self._get(f"{url}/{entry['id']}", headers=headers)).content, policy=email.policy.default
            )
            for entry in listed
        ]
        subjects = "; ".join(f"“{message['Subject']}”" for message in messages)
        found = f"{len(messages)} to {hire.workEmail}: {subjects}"
        there = len(messages) == 1 and hire.workEmail in str(messages[0]["To"])
        return Finding(
            system="Mail",
            protocol="SMTP, archive",
            there=there,
            found=found,
        )

    async def calendar(self, hire: Hire) -> Finding:
        """Three events with the employee, at local times of the employee's zone, none on a week-end."""
        systems = self._systems
        answer = await self._http.request(
            "REPORT",
            f"{systems.calendar_url}/training/",
            auth=(systems.tenant, systems.calendar_password),
            headers={"Depth": "1", "Content-Type": "application/xml; charset=utf-8"},
            content=_QUERY.format(attendee=escape(hire.workEmail)).encode(),
        )
        events = sorted(_events(answer.raise_for_status().content, hire.workEmail), key=lambda event: event[0])
        starts = [start for start, _ in events]
        there = len(events) == TRAININGS and all(
            getattr(start.tzinfo, "key", "") == hire.timezone and start.weekday() < 5 for start in starts
        )
        times = "\n".join(f"{start:%a %d %b %H:%M} {start.tzinfo}  {summary}" for start, summary in events)
        return Finding(system="Calendar", protocol="CalDAV", there=there, found=times or "no events")

    async def _hr(self, method: str, path: str, **content: Any) -> httpx2.Response:
        systems = self._systems
        answer = await self._http.request(
            method,
            f"{systems.hr_url}/{path}",
            auth=(systems.hr_api_key, "x"),
            headers={"Accept": "application/json"},
            **content,
        )
        return answer.raise_for_status()

    async def _scim(self, resource: str, expression: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self._systems.identity_token}", "Accept": _SCIM_TYPE}
        url = f"{self._systems.identity_url}/{resource}"
        answer = await self._get(url, headers=headers, params={"filter": expression})
        found: list[dict[str, Any]] = answer.json().get("Resources") or []
        return found

    async def _get(self, url: str, **content: Any) -> httpx2.Response:
        return (await self._http.get(url, **content)).raise_for_status()


def _events(body: bytes, attendee: str) -> Iterable[tuple[datetime, str]]:
    """Local start and summary of every event in a multistatus answer that has this very attendee."""
    # What is read is the answer of this machine's own calendar server.
    for data in ElementTree.fromstring(body).iter(f"{_CALDAV}calendar-data"):  # noqa: S314
        for event in Calendar.from_ical(data.text or "").walk("VEVENT"):
            attendees = event.get("ATTENDEE") or []
            listed = attendees if isinstance(attendees, list) else [attendees]
            if any(str(one).casefold() == f"mailto:{attendee}" for one in listed):
                yield event.decoded("DTSTART"), str(event["SUMMARY"])
