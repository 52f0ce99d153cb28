"""What stands in the systems of a tenant, read from each over its own protocol; and HR's part in it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import httpx2
import icalendar

T = TypeVar("T")


@dataclass(frozen=True)
class Addresses:
    """Base URLs, without a trailing slash."""

    gateway: str
    hr: str
    identity: str
    calendar: str
    mail_archive: str


class World:
    """The systems of one tenant.

    Args:
        secrets: folder with one file a secret, of this tenant.
        source: name of the tenant's BambooHR source at the gateway.
    """

    def __init__(self, tenant: str, addresses: Addresses, secrets: Path, *, source: str) -> None:
        self.tenant = tenant
        self.source = source
        self._addresses = addresses
        self._secrets = secrets
        self._http = httpx2.AsyncClient(timeout=30)

    async def close(self) -> None:
        await self._http.aclose()

    def secret(self, name: str) -> str:
        return (self._secrets / name).read_text().strip()

    # HR

    @property
    def _hr(self) -> str:
        return f"{self._addresses.hr}/api/gateway.php/{self.tenant}/v1"

    @property
    def _hr_auth(self) -> tuple[str, str]:
        return self.secret("hr-api-key"), "x"

    async def hire(self, first: str, last: str, **fields: Any) -> str:
        """Creates an employee at HR, which sends its webhook; gives the id."""
        person = {
            "firstName": first,
            "lastName": last,
            "workEmail": f"{first}.{last}@{self.tenant}.example".lower(),
            "department": "Engineering",
            "jobTitle": "Engineer",
            "hireDate": "2026-12-03",
            "timezone": "Europe/Berlin",
            **fields,
        }
        response = await self._http.post(f"{self._hr}/employees/", json=person, auth=self._hr_auth)
        assert response.status_code == 201, response.text
        return str(response.headers["Location"]).rstrip("/").rpartition("/")[2]

    async def employee(self, employee_id: str) -> dict[str, Any]:
        fields = "firstName,lastName,workEmail,status,onboardingStatus"
        response = await self._http.get(f"{self._hr}/employees/{employee_id}?fields={fields}", auth=self._hr_auth)
        response.raise_for_status()
        return dict(response.json())

    async def update(self, employee_id: str, **fields: Any) -> None:
        response = await self._http.post(f"{self._hr}/employees/{employee_id}", json=fields, auth=self._hr_auth)
        response.raise_for_status()

    # The webhook, as BambooHR sends it

    def signed(self, body: bytes, *, at: float | None = None) -> dict[str, str]:
        """The headers of a delivery at a time (Unix seconds; default: now)."""
        timestamp = str(int(time.time() if at is None else at))
        key = self.secret("bamboohr-webhook").encode()
        signature = hmac.new(key, body + timestamp.encode(), hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/json",
            "X-BambooHR-Timestamp": timestamp,
            "X-BambooHR-Signature": signature,
        }

    async def deliver(self, body: bytes) -> httpx2.Response:
        url = f"{self._addresses.gateway}/hooks/{self.source}"
        return await self._http.post(url, content=body, headers=self.signed(body))

    @staticmethod
    def created(employee_id: str, timestamp: str = "2026-12-01T08:00:00Z") -> bytes:
        """The body that tells of a new employee."""
        entry = {"id": employee_id, "action": "Created", "timestamp": timestamp, "changedFields": [], "fields": {}}
        return json.dumps({"employees": [entry]}).encode()

    # Identity

    async def _scim(self, path: str, **parameters: str) -> dict[str, Any]:
        response = await self._http.get(
            f"{self._addresses.identity}/{self.tenant}/v2/{path}",
            params=parameters,
            headers={"Authorization": f"Bearer {self.secret('identity-token')}"},
        )
        response.raise_for_status()
        return dict(response.json())

    async def accounts(self, employee_id: str) -> list[dict[str, Any]]:
        found = await self._scim("Users", filter=f'externalId eq "{employee_id}"')
        return list(found.get("Resources", []))

    async def create_account(self, user_name: str, external_id: str) -> None:
        """Somebody else's account, made by hand."""
        response = await self._http.post(
            f"{self._addresses.identity}/{self.tenant}/v2/Users",
            json={
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": user_name,
                "externalId": external_id,
            },
            headers={"Authorization": f"Bearer {self.secret('identity-token')}"},
        )
        assert response.status_code == 201, response.text

    async def groups_of(self, account_id: str) -> list[str]:
        """Display names, sorted; a group that holds the account twice is named twice."""
        groups = (await self._scim("Groups")).get("Resources", [])
        return sorted(
            group["displayName"]
            for group in groups
            for member in group.get("members", [])
            if member["value"] == account_id
        )

    # Mail and calendar

    async def mails(self, to: str) -> list[EmailMessage]:
        base = f"{self._addresses.mail_archive}/{self.tenant}/messages"
        headers = {"Authorization": f"Bearer {self.secret('mail-archive-token')}"}
        listed = await self._http.get(base, params={"to": to}, headers=headers)
        listed.raise_for_status()
        found = []
        for entry in listed.json():
            raw = await self._http.get(f"{base}/{entry['id']}", headers=headers)
            raw.raise_for_status()
            message = message_from_bytes(raw.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            found.append(message)
        return found

    async def trainings(self, attendee: str) -> list[icalendar.Event]:
        """The events to which somebody is invited, by start."""
        query = (
            '<c:calendar-query xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:d="DAV:">'
            "<d:prop><c:calendar-data/></d:prop>"
            '<c:filter><c:comp-filter name="VCALENDAR"/></c:filter></c:calendar-query>'
        )
        response = await self._http.request(
            "REPORT",
            f"{self._addresses.calendar}/{self.tenant}/training/",
            content=query,
            headers={"Depth": "1", "Content-Type": "application/xml"},
            auth=(self.tenant, self.secret("calendar-password")),
        )
        response.raise_for_status()
        events = [event for text in _calendar_data(response.content) for event in _events(text)]
        invited = [event for event in events if attendee.lower() in str(event.get("ATTENDEE", "")).lower()]
        return sorted(invited, key=lambda event: str(event["DTSTART"].dt))


def _calendar_data(multistatus: bytes) -> list[str]:
    tree = ElementTree.fromstring(multistatus)
    return [element.text or "" for element in tree.iter("{urn:ietf:params:xml:ns:caldav}calendar-data")]


def _events(text: str) -> list[icalendar.Event]:
    return list(icalendar.Calendar.from_ical(text).walk("VEVENT"))


async def eventually(
    look: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, within: float = 60.0, what: str = ""
) -> T:
    """What `look` gives once it holds; an assertion error with the last look after `within` seconds."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        seen = await look()
        if holds(seen):
            return seen
        assert asyncio.get_running_loop().time() < deadline, f"{what or 'it'} does not hold after {within} s: {seen}"
        await asyncio.sleep(0.2)
