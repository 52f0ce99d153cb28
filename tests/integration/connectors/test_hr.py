"""The hr connector against the answers that BambooHR documents, and against those it should never give."""

from __future__ import annotations

import base64
import json
from datetime import date

import pytest
from pydantic import ValidationError

from factotum.connectors.hr import EmployeeRef, EmployeeUpdate, HrSettings, get_employee, update_employee
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Failed, InvalidArgument, NotFound, NotPermitted, RateLimited, ToolError, Unavailable
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import closed_port, tool_context

RECORD = {
    "id": "123",
    "firstName": "Zoë",
    "lastName": "O'Neill",
    "workEmail": "zoe@acme.example",
    "department": None,
    "hireDate": "2026-11-30",
    "timezone": "Europe/Berlin",
    "status": "Active",
    "onboardingStatus": "",
}


def hr(url: str, *, timeout: float = 5.0) -> ToolContext[HrSettings]:
    settings = HrSettings(base_url=f"{url}/api/gateway.php/acme/v1", api_key="secret://hr-api-key", timeout=timeout)
    return tool_context(settings, **{"hr-api-key": "k3y"})


async def test_reads_an_employee() -> None:
    async with scripted_http(Answer(body=json.dumps(RECORD).encode())) as server:
        employee = await get_employee.function(EmployeeRef(id="123"), hr(server.url))
    assert (employee.id, employee.firstName, employee.lastName) == ("123", "Zoë", "O'Neill")
    assert employee.hireDate == date(2026, 11, 30)
    assert employee.department is None
    assert employee.onboardingStatus is None  # BambooHR's "" is nothing
    [(method, target, headers, _)] = server.requests
    assert method == "GET"
    assert target.startswith("/api/gateway.php/acme/v1/employees/123?fields=firstName%2ClastName")
    assert headers["authorization"] == "Basic " + base64.b64encode(b"k3y:x").decode()
    assert headers["accept"] == "application/json"


async def test_a_missing_date_is_null() -> None:
    async with scripted_http(Answer(body=b'{"id": "1", "hireDate": "0000-00-00"}')) as server:
        assert (await get_employee.function(EmployeeRef(id="1"), hr(server.url))).hireDate is None


async def test_updates_fields() -> None:
    async with scripted_http(Answer()) as server:
        arguments = EmployeeUpdate(id="123", fields={"onboardingStatus": "Completed ✓"})
        updated = await update_employee.function(arguments, hr(server.url))
    assert updated.fields == {"onboardingStatus": "Completed ✓"}
    [(method, target, _, body)] = server.requests
    assert (method, target) == ("POST", "/api/gateway.php/acme/v1/employees/123")
    assert json.loads(body) == {"onboardingStatus": "Completed ✓"}


@pytest.mark.parametrize(
    ("answer", "kind", "words", "effect_possible"),
    [
        (Answer(400, headers={"X-BambooHR-Error-Message": "Malformed JSON"}), InvalidArgument, "Malformed JSON", False),
        (Answer(401), NotPermitted, "401", False),
        (Answer(403, headers={"X-BambooHR-Error-Message": "No access"}), NotPermitted, "No access", False),
        (Answer(404), NotFound, "there is no employee 123", False),
        (Answer(301, headers={"Location": "/elsewhere"}), Failed, "301", False),
        (Answer(500), Unavailable, "500", True),
        (Answer(503, b"<html>away</html>", {"Content-Type": "text/html"}), Unavailable, "503", True),
        (Answer(drop=True), Unavailable, "does not answer", True),
        (Answer(delay=1.0), Unavailable, "does not answer", True),
    ],
)
async def test_what_a_refusal_means(answer: Answer, kind: type[ToolError], words: str, effect_possible: bool) -> None:
    async with scripted_http(answer) as server:
        with pytest.raises(kind, match=words) as caught:
            arguments = EmployeeUpdate(id="123", fields={"status": "Inactive"})
            await update_employee.function(arguments, hr(server.url, timeout=0.4))
    assert type(caught.value) is kind
    assert caught.value.effect_possible is effect_possible
    assert "k3y" not in caught.value.message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Tue, 24 Nov 2026 09:01:30 GMT", 90.0),
        ("Tue, 24 Nov 2026 08:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
async def test_waits_as_long_as_the_system_says(value: str, seconds: float | None) -> None:
    async with scripted_http(Answer(429, headers={"Retry-After": value})) as server:
        with pytest.raises(RateLimited) as caught:
            await get_employee.function(EmployeeRef(id="1"), hr(server.url))
    assert caught.value.retry_after == seconds


async def test_a_refused_connection_has_no_effect() -> None:
    with pytest.raises(Unavailable) as caught:
        await update_employee.function(
            EmployeeUpdate(id="1", fields={"a": "b"}), hr(f"http://127.0.0.1:{closed_port()}")
        )
    assert caught.value.effect_possible is False


@pytest.mark.parametrize("base", ["ftp://hr.example", "hr.example", "http://hr.example:port"])
async def test_a_wrong_address_is_not_retried(base: str) -> None:
    with pytest.raises(Failed) as caught:
        await get_employee.function(EmployeeRef(id="1"), hr(base))
    assert (caught.value.retryable, caught.value.effect_possible) == (False, False)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b'{"hireDate": "tomorrow"}', b'{"status": 3}'])
async def test_an_unreadable_record_fails(body: bytes) -> None:
    async with scripted_http(Answer(body=body)) as server:
        with pytest.raises(Failed, match="cannot be read"):
            await get_employee.function(EmployeeRef(id="1"), hr(server.url))


@pytest.mark.parametrize("employee", ["", "1/../2", "1?fields=ssn", "1 2", "..", "ä"])
def test_an_id_cannot_leave_its_place_in_the_address(employee: str) -> None:
    with pytest.raises(ValidationError):
        EmployeeRef(id=employee)


def test_an_update_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError):
        EmployeeUpdate(id="1", fields={})
