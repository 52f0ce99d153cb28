"""The CalDAV server of the sandbox, over its own protocol."""

from __future__ import annotations

import httpx2
import pytest

from tests.integration.sandbox.conftest import ENDINGS, Ending, Sandbox

EVENT = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//test//EN\r
BEGIN:VEVENT\r
UID:one\r
DTSTAMP:20261124T090000Z\r
DTSTART:20261130T090000Z\r
DURATION:PT1H\r
SUMMARY:Training\r
END:VEVENT\r
END:VCALENDAR\r
"""
NEW = {"If-None-Match": "*", "Content-Type": "text/calendar"}


def client(port: int, tenant: str = "acme", password: str | None = None) -> httpx2.AsyncClient:
    auth = (tenant, password or f"{tenant}:calendar")
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/", auth=auth)


async def test_the_training_calendar_is_there_for_events(sandbox: Sandbox, port: int) -> None:
    await sandbox.calendar(port)
    for tenant in ("acme", "globex"):
        async with client(port, tenant) as http:
            assert (await http.put(f"{tenant}/training/one.ics", content=EVENT, headers=NEW)).status_code == 201
            assert (await http.put(f"{tenant}/training/one.ics", content=EVENT, headers=NEW)).status_code == 412
            listing = await http.request("PROPFIND", f"{tenant}/training/", headers={"Depth": "1"})
            assert listing.text.count("one.ics") == 1
            assert "C:calendar" in listing.text or ":calendar" in listing.text
            assert 'name="VEVENT"' in listing.text
            assert (await http.request("MKCALENDAR", f"{tenant}/training/")).status_code == 409


@pytest.mark.parametrize("end", ENDINGS)
async def test_events_outlive_the_process(sandbox: Sandbox, port: int, end: Ending) -> None:
    process = await sandbox.calendar(port)
    async with client(port) as http:
        assert (await http.put("acme/training/one.ics", content=EVENT, headers=NEW)).status_code == 201
        assert (await http.request("MKCALENDAR", "acme/other/")).status_code == 201
        await end(process)
        await sandbox.calendar(port)
        assert b"UID:one" in (await http.get("acme/training/one.ics")).content
        assert (await http.put("acme/training/one.ics", content=EVENT, headers=NEW)).status_code == 412
        assert (await http.put("acme/other/one.ics", content=EVENT, headers=NEW)).status_code == 201


async def test_only_the_tenants_own_password_is_taken(sandbox: Sandbox, port: int) -> None:
    await sandbox.calendar(port)
    async with client(port) as http:
        await http.put("acme/training/one.ics", content=EVENT, headers=NEW)
    for password in ("wrong", "globex:calendar"):
        async with client(port, password=password) as http:
            assert (await http.get("acme/training/one.ics")).status_code == 401
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/") as http:
        assert (await http.get("acme/training/one.ics")).status_code == 401
        assert (await http.put("acme/training/two.ics", content=EVENT, headers=NEW)).status_code == 401
    async with client(port, "globex") as http:
        assert (await http.get("acme/training/one.ics")).status_code == 403
        assert (await http.put("acme/training/two.ics", content=EVENT, headers=NEW)).status_code == 403
        assert (await http.delete("acme/training/one.ics")).status_code == 403


async def test_the_passwords_are_for_this_user_of_the_machine_only(sandbox: Sandbox, port: int) -> None:
    await sandbox.calendar(port)
    assert (sandbox.data / "calendar" / "users").stat().st_mode & 0o077 == 0
