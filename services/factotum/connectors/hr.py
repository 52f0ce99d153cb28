"""Employees in BambooHR: read and update.

Protocol: BambooHR API v1 (`GET` and `POST /employees/{id}`), HTTP Basic with the API key as user
name. It explains a refusal in the header `X-BambooHR-Error-Message`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Failed
from factotum.sdk.http import HTTP_ERRORS, client, reaching, refusal
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

_SYSTEM = "the HR system"
_NO_DATE = "0000-00-00"

EmployeeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64, description="BambooHR's employee id.")]


class HrSettings(BaseModel):
    """`base_url` ends in the API version: `https://api.bamboohr.com/api/gateway.php/<company>/v1`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    api_key: str = Field(description="Reference of the secret, e.g. secret://hr-api-key.")
    timeout: float = Field(default=15.0, gt=0, description="Seconds.")


class EmployeeRef(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: EmployeeId


class Employee(BaseModel):
    """What HR knows of a person; null where HR has nothing."""

    id: str
    firstName: str | None = None
    lastName: str | None = None
    displayName: str | None = None
    workEmail: str | None = None
    department: str | None = None
    jobTitle: str | None = None
    hireDate: date | None = None
    timezone: str | None = Field(default=None, description="IANA name.", examples=["Europe/Berlin"])
    status: str | None = None
    onboardingStatus: str | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_null(cls, value: object) -> object:
        # BambooHR writes a field without a value as null, as "" or, for dates, as 0000-00-00.
        return None if value in ("", _NO_DATE) else value


class EmployeeUpdate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: EmployeeId
    fields: dict[str, str | int | float | bool | None] = Field(
        min_length=1, description="Field name to its new value; null empties the field."
    )


class EmployeeUpdated(BaseModel):
    id: str
    fields: dict[str, str | int | float | bool | None] = Field(description="What was written.")


connector = Connector("hr", settings=HrSettings)


@connector.tool(
    effect=Effect.NONE,
    errors=HTTP_ERRORS,
    examples=[
        Example(
            title="A new employee",
            arguments={"id": "123"},
            output={"id": "123", "firstName": "Ada", "lastName": "Lovelace", "hireDate": "2026-11-30"},
        )
    ],
)
async def get_employee(arguments: EmployeeRef, context: ToolContext[HrSettings]) -> Employee:
    """Read an employee's record."""
    names = [name for name in Employee.model_fields if name != "id"]
    response = await _request(context, "GET", arguments.id, params={"fields": ",".join(names)})
    try:
        return Employee.model_validate({**response.json(), "id": arguments.id})
    except (ValidationError, ValueError, TypeError) as error:
        raise Failed(f"{_SYSTEM} sent a record that cannot be read: {error}", effect_possible=False) from error


@connector.tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.NATIVE,
    errors=HTTP_ERRORS,
    examples=[
        Example(title="Onboarding is done", arguments={"id": "123", "fields": {"onboardingStatus": "Completed"}})
    ],
)
async def update_employee(arguments: EmployeeUpdate, context: ToolContext[HrSettings]) -> EmployeeUpdated:
    """Set fields of an employee's record.

    Native: each field is set to a value of its own, not changed by an amount, so that doing it
    again leaves the same record. The values before are not returned: a repeated call would report
    those that it wrote itself.
    """
    await _request(context, "POST", arguments.id, json=arguments.fields)
    return EmployeeUpdated(id=arguments.id, fields=arguments.fields)


async def _request(context: ToolContext[HrSettings], method: str, employee: str, **content: Any) -> httpx2.Response:
    settings = context.settings
    with reaching(_SYSTEM):
        async with client(
            settings.base_url,
            timeout=settings.timeout,
            headers={"Accept": "application/json"},
            # BambooHR takes any password beside the key; its documentation uses "x".
            auth=(context.secret(settings.api_key), "x"),
        ) as http:
            response = await http.request(method, f"employees/{quote(employee, safe='')}", **content)
    if not response.is_success:
        words = response.headers.get("X-BambooHR-Error-Message", "")
        if not words and response.headers.get("Content-Type", "").startswith("text/plain"):
            words = response.text
        if response.status_code == 404 and not words:
            words = f"there is no employee {employee}"
        raise refusal(_SYSTEM, response, words, now=context.now())
    return response
