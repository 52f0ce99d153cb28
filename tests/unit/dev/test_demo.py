"""What the demo calls being there. That it reads the real servers right is for the end-to-end tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import httpx2
import pytest

from factotum.dev.demo import Finding, Sandbox, Systems
from factotum.dev.hires import next_hire

HIRE = next_hire([], tenant="acme", today=date(2026, 11, 24))
SYSTEMS = Systems(
    tenant="acme",
    hr_url="http://hr/v1",
    hr_api_key="k",
    identity_url="http://scim/v2",
    identity_token="t",
    archive_url="http://mail/acme",
    archive_token="a",
    calendar_url="http://cal/acme",
    calendar_password="p",
)


async def _with(answer: Callable[[httpx2.Request], httpx2.Response], ask: Callable[[Sandbox], object]) -> Finding:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        found = await ask(Sandbox(SYSTEMS, http))  # type: ignore[misc]
    assert isinstance(found, Finding)
    return found


@pytest.mark.parametrize(("status", "there"), [("Completed", True), ("Pending", False), (None, False)])
async def test_hr(status: str | None, there: bool) -> None:
    found = await _with(
        lambda request: httpx2.Response(200, json={"id": "1", "onboardingStatus": status}),
        lambda sandbox: sandbox.employee(HIRE, "1"),
    )
    assert found.there is there


_USER = {"id": "u", "userName": HIRE.workEmail, "active": True}


@pytest.mark.parametrize(
    ("users", "groups", "there"),
    [
        ([_USER], ["everyone", "engineering"], True),
        ([_USER], ["everyone"], False),
        ([_USER], ["everyone", "engineering", "finance"], False),
        ([{**_USER, "active": False}], ["everyone", "engineering"], False),
        ([{**_USER, "userName": "other"}], ["everyone", "engineering"], False),
        ([_USER, _USER], ["everyone", "engineering"], False),
        ([], [], False),
    ],
)
async def test_identity(users: list[dict[str, object]], groups: list[str], there: bool) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/Users"):
            assert request.url.params["filter"] == 'externalId eq "1"'
            return httpx2.Response(200, json={"Resources": users})
        return httpx2.Response(200, json={"Resources": [{"displayName": name} for name in groups]})

    assert (await _with(answer, lambda sandbox: sandbox.account(HIRE, "1"))).there is there


@pytest.mark.parametrize(
    ("count", "to", "there"),
    [
        (1, HIRE.workEmail, True),
        (2, HIRE.workEmail, False),
        (0, HIRE.workEmail, False),
        (1, "other@acme.example", False),
    ],
)
async def test_mail(count: int, to: str, there: bool) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/messages"):
            return httpx2.Response(200, json=[{"id": str(number)} for number in range(count)])
        return httpx2.Response(200, content=f"To: {to}\r\nSubject: Welcome, Ada!\r\n\r\nHello".encode())

    found = await _with(answer, lambda sandbox: sandbox.mail(HIRE))
    assert found.there is there
    assert found.found.count("Welcome, Ada!") == count


def _event(day: int, zone: str = "Europe/London", attendee: str = HIRE.workEmail) -> str:
    return (
        f"<calendar-data xmlns='urn:ietf:params:xml:ns:caldav'>BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:{day}\r\n"
        f"DTSTART;TZID={zone}:202612{day:02}T093000\r\nSUMMARY:Training\r\nATTENDEE:mailto:{attendee}\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n</calendar-data>"
    )


@pytest.mark.parametrize(
    ("events", "there"),
    [
        ([_event(2), _event(1), _event(3)], True),
        ([_event(1), _event(2)], False),
        ([_event(1), _event(2), _event(3), _event(4)], False),
        ([_event(1), _event(2), _event(5)], False),
        ([_event(1), _event(2), _event(3, zone="Europe/Berlin")], False),
        ([_event(1), _event(2), _event(3, attendee="not-" + HIRE.workEmail)], False),
        ([], False),
    ],
)
async def test_calendar(events: list[str], there: bool) -> None:
    body = f"<multistatus xmlns='DAV:'>{''.join(events)}</multistatus>"
    found = await _with(
        lambda request: httpx2.Response(207, content=body.encode()), lambda sandbox: sandbox.calendar(HIRE)
    )
    assert found.there is there
    if there:
        assert [line.split()[1] for line in found.found.splitlines()] == ["01", "02", "03"]


async def test_a_refusal_is_not_taken_for_an_empty_system() -> None:
    with pytest.raises(httpx2.HTTPStatusError):
        await _with(lambda request: httpx2.Response(401), lambda sandbox: sandbox.mail(HIRE))


async def test_hiring_gives_the_id_of_the_address() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert json.loads(request.content)["hireDate"] == "2026-11-30"
        return httpx2.Response(201, headers={"Location": "http://hr/v1/employees/42"})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        assert await Sandbox(SYSTEMS, http).hire(HIRE) == "42"
