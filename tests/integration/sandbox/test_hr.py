"""The HR system of the sandbox: its API, and its webhooks at a receiver."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.integration.sandbox.conftest import ENDINGS, TENANTS, Ending, Sandbox
from tests.support.processes import free_port
from tests.support.scripted_http import Answer, ScriptedHttp, scripted_http

ADA = {"firstName": "Ada", "lastName": "Lovelace", "workEmail": "ada@acme.example", "hireDate": "2026-11-30"}
SECRET = "webhook-s3cret"


def client(port: int, company: str = "acme", key: str | None = None) -> httpx2.AsyncClient:
    base = f"http://127.0.0.1:{port}/api/gateway.php/{company}/v1/"
    return httpx2.AsyncClient(base_url=base, auth=(key or f"{company}-hr", "x"))


async def create(http: httpx2.AsyncClient, **changes: Any) -> str:
    response = await http.post("employees/", json=ADA | changes)
    assert response.status_code == 201
    location: str = response.headers["Location"]
    assert location.startswith(str(http.base_url))
    return location.rpartition("/")[2]


async def read(http: httpx2.AsyncClient, id: str, *fields: str) -> dict[str, Any]:
    response = await http.get(f"employees/{id}", params={"fields": ",".join(fields)})
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


def telling(sandbox: Sandbox, **urls: str) -> None:
    """Sets acme's webhooks, by name; takes effect at the next start."""
    webhooks = [{"name": name, "url": f"{url}/hooks/bamboohr", "secret": SECRET} for name, url in urls.items()]
    sandbox.write_tenants({**TENANTS, "acme": {**TENANTS["acme"], "webhooks": webhooks}})


async def until(true: Callable[[], bool], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.05)


def entries(receiver: ScriptedHttp) -> list[dict[str, Any]]:
    """What the receiver was told, each signature verified."""
    found = []
    for method, target, headers, body in receiver.requests:
        assert (method, target) == ("POST", "/hooks/bamboohr")
        timestamp = headers["x-bamboohr-timestamp"]
        assert abs(int(timestamp) - time.time()) < 30
        signature = hmac.new(SECRET.encode(), body + timestamp.encode(), hashlib.sha256).hexdigest()
        assert headers["x-bamboohr-signature"] == signature
        [entry] = json.loads(body)["employees"]
        found.append(entry)
    return found


async def test_employees_are_made_read_changed_and_listed(sandbox: Sandbox, port: int) -> None:
    await sandbox.hr(port)
    async with client(port) as http:
        assert await create(http, department="Engineering", timezone="Europe/London") == "1"
        assert await create(http, workEmail=None, firstName="Grace", lastName="Hopper") == "2"
        assert await read(http, "1") == {"id": "1"}
        expected = {"id": "1", "displayName": "Ada Lovelace", "status": "Active", "onboardingStatus": None}
        assert await read(http, "1", "displayName", "status", "onboardingStatus") == expected
        assert (await http.post("employees/1", json={"onboardingStatus": "Completed"})).status_code == 200
        assert (await http.post("employees/1", json={"department": None})).status_code == 200
        changed = {"id": "1", "onboardingStatus": "Completed", "department": None, "firstName": "Ada"}
        assert await read(http, "1", "onboardingStatus", "department", "firstName") == changed
        directory = (await http.get("employees/directory")).json()
        assert [(one["id"], one["displayName"]) for one in directory["employees"]] == [
            ("1", "Ada Lovelace"),
            ("2", "Grace Hopper"),
        ]
        assert (await http.delete("employees/2")).status_code == 200
        assert (await http.get("employees/2")).status_code == 404
        assert await create(http, workEmail="new@acme.example") == "3"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shoeSize": 42}, "there is no field 'shoeSize'"),
        ({"displayName": "Ada"}, "displayName can only be read"),
        ({"firstName": ""}, "an employee needs firstName"),
        ({"hireDate": "30.11.2026"}, "hireDate is a date"),
        ({"hireDate": "2026-02-30"}, "hireDate is a date"),
        ({"workEmail": "ada"}, "workEmail is a mail address"),
        ({"status": "Gone"}, "status is Active or Inactive"),
        ({"timezone": "Mars/Olympus"}, "timezone is an IANA time zone"),
        ({"department": ["a"]}, "department takes one value"),
        ({"schön\nbreit": 1}, "there is no field 'sch?n"),
    ],
)
async def test_what_cannot_be_written_is_explained(hr: int, changes: dict[str, Any], words: str) -> None:
    async with client(hr) as http:
        refused = await http.post("employees/", json=ADA | changes)
        assert refused.status_code == 400
        assert refused.headers["X-BambooHR-Error-Message"].startswith(words)
        assert (await http.get("employees/directory")).json()["employees"] == []


async def test_what_cannot_be_read_is_explained(hr: int) -> None:
    async with client(hr, "globex") as http:
        id = await create(http)
        for code, response in [
            (400, await http.get(f"employees/{id}", params={"fields": "firstName,shoeSize"})),
            (400, await http.post(f"employees/{id}", json={"shoeSize": 1})),
            (400, await http.post(f"employees/{id}", json={"lastName": None})),
            (400, await http.post(f"employees/{id}", content=b"{")),
            (404, await http.get("employees/99")),
            (404, await http.get("employees/0" + id)),
            (404, await http.get("employees/x")),
            (404, await http.get("employees/" + "9" * 40)),
            (404, await http.post("employees/99", json={"status": "Active"})),
            (404, await http.delete("employees/99")),
        ]:
            assert response.status_code == code
            assert response.headers["X-BambooHR-Error-Message"]
        assert await read(http, id, "lastName") == {"id": id, "lastName": "Lovelace"}


async def test_a_work_email_is_given_once_in_a_company(sandbox: Sandbox, port: int) -> None:
    await sandbox.hr(port)
    async with client(port) as http, client(port, "globex") as other:
        await create(http)
        assert (await http.post("employees/", json=ADA | {"workEmail": "ADA@acme.example"})).status_code == 409
        assert await create(http, workEmail="grace@acme.example") == "2"
        assert (await http.post("employees/2", json={"workEmail": "ada@acme.example"})).status_code == 409
        assert (await read(http, "2", "workEmail"))["workEmail"] == "grace@acme.example"
        assert await create(other) == "1"


async def test_only_the_companys_own_key_is_taken(hr: int) -> None:
    for key in ("wrong", "globex-hr"):
        async with client(hr, key=key) as http:
            assert (await http.post("employees/", json=ADA)).status_code == 401
            assert (await http.get("employees/1")).status_code == 401
            assert (await http.get("employees/directory")).status_code == 401
            assert (await http.delete("employees/1")).status_code == 401
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{hr}/api/gateway.php/") as http:
        assert (await http.get("acme/v1/employees/1")).status_code == 401
    async with client(hr, "nobody") as http:
        assert (await http.get("employees/1")).status_code == 404


@pytest.mark.parametrize("end", ENDINGS)
async def test_state_outlives_the_process(sandbox: Sandbox, port: int, end: Ending) -> None:
    process = await sandbox.hr(port)
    async with client(port) as http:
        await create(http)
        await http.post("employees/1", json={"onboardingStatus": "Completed"})
        await create(http, workEmail="grace@acme.example")
        await http.delete("employees/2")
        await end(process)
        await sandbox.hr(port)
        assert (await read(http, "1", "onboardingStatus"))["onboardingStatus"] == "Completed"
        assert await create(http, workEmail="new@acme.example") == "3"


async def test_every_change_is_told_signed(sandbox: Sandbox, port: int) -> None:
    async with scripted_http(Answer(202)) as receiver, scripted_http(Answer(204)) as second:
        telling(sandbox, gateway=receiver.url, second=second.url)
        await sandbox.hr(port)
        async with client(port) as http, client(port, "globex") as other:
            await create(other)
            await create(http)
            await until(lambda: len(receiver.requests) == 1)
            await http.post("employees/1", json={"status": "Inactive", "firstName": "Ada"})
            await until(lambda: len(receiver.requests) == 2)
            await http.post("employees/1", json={"status": "Inactive"})
            await http.delete("employees/1")
            await until(lambda: len(receiver.requests) == 3)
            await until(lambda: len(second.requests) == 3)
            created, updated, deleted = entries(receiver)
            assert entries(second) == [created, updated, deleted]
    assert created.keys() == {"id", "action", "timestamp", "changedFields", "fields"}
    assert (created["id"], created["action"], created["fields"]) == ("1", "Created", {**ADA, "status": "Active"})
    assert created["changedFields"] == sorted({**ADA, "status": ""})
    assert created["timestamp"].endswith("Z")
    assert (updated["action"], updated["changedFields"]) == ("Updated", ["status"])
    assert updated["fields"] == {**ADA, "status": "Inactive"}
    assert (deleted["id"], deleted["action"]) == ("1", "Deleted")


async def test_a_webhook_is_repeated_until_it_is_taken(sandbox: Sandbox, port: int) -> None:
    answers = [Answer(503), Answer(drop=True), Answer(302, headers={"Location": "/elsewhere"}), Answer(202)]
    async with scripted_http(*answers) as receiver:
        telling(sandbox, gateway=receiver.url)
        await sandbox.hr(port)
        async with client(port) as http:
            await create(http)
        await until(lambda: len(receiver.requests) == 4)
        await asyncio.sleep(1.5)
        assert len(receiver.requests) == 4
        first, *others = entries(receiver)
        assert others == [first] * 3
        assert len({body for *_, body in receiver.requests}) == 1


@pytest.mark.parametrize("end", ENDINGS)
async def test_a_webhook_waits_for_a_receiver_that_is_away(sandbox: Sandbox, port: int, end: Ending) -> None:
    telling(sandbox, gateway=f"http://127.0.0.1:{free_port()}")
    process = await sandbox.hr(port)
    async with client(port) as http:
        for number in range(20):
            await create(http, workEmail=f"p{number}@acme.example")
        await until(lambda: "webhook not taken" in process.output())
        await end(process)
        async with scripted_http(Answer(202)) as receiver:
            telling(sandbox, gateway=receiver.url)
            await sandbox.hr(port)
            await until(lambda: len(receiver.requests) >= 20)
            told = [entry["id"] for entry in entries(receiver)]
    assert sorted(told, key=int) == [str(number) for number in range(1, 21)]


async def test_a_receiver_that_hangs_keeps_nobody_waiting(sandbox: Sandbox, port: int) -> None:
    async with scripted_http(Answer(202, delay=60.0)) as hanging, scripted_http(Answer(202)) as receiver:
        telling(sandbox, hanging=hanging.url, gateway=receiver.url)
        process = await sandbox.hr(port)
        async with client(port) as http:
            for number in range(30):
                await create(http, workEmail=f"p{number}@acme.example")
            await until(lambda: len(receiver.requests) == 30, within=5.0)
        assert hanging.requests
        assert await process.stop(within=8.0) == 0
