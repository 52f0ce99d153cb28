"""The fields of an employee at HR, and what may be written into them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NEEDED = ("firstName", "lastName")
TYPES = {
    "firstName": "text",
    "lastName": "text",
    "workEmail": "email",
    "department": "list",
    "jobTitle": "list",
    "hireDate": "date",
    "timezone": "text",
    "status": "status",
    "onboardingStatus": "text",
    "terminationDate": "date",
}
# Made of others: BambooHR lets nobody write it.
DERIVED = ("displayName",)
DIRECTORY = ("displayName", "firstName", "lastName", "workEmail", "department", "jobTitle")

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


class FieldInvalid(ValueError):
    """What was asked of a field cannot be. The message is for the client."""


def writable(given: Mapping[str, Any]) -> dict[str, str | None]:
    """The values as they are kept; None empties a field. Raises `FieldInvalid`."""
    return {name: _value(name, value) for name, value in given.items()}


def complete(fields: Mapping[str, str | None]) -> None:
    """Raises `FieldInvalid` if a field that an employee needs is empty."""
    missing = [name for name in NEEDED if not fields.get(name)]
    if missing:
        raise FieldInvalid(f"an employee needs {' and '.join(missing)}")


def shown(names: Iterable[str], fields: Mapping[str, str]) -> dict[str, str | None]:
    """The named fields, None where there is nothing. Raises `FieldInvalid` for an unknown one."""
    known = {**fields, "displayName": f"{fields.get('firstName', '')} {fields.get('lastName', '')}".strip()}
    found: dict[str, str | None] = {}
    for name in names:
        if name not in TYPES and name not in DERIVED:
            raise FieldInvalid(f"there is no field {name!r}")
        found[name] = known.get(name)
    return found


def _value(name: str, value: Any) -> str | None:
    if name in DERIVED:
        raise FieldInvalid(f"{name} can only be read")
    if name not in TYPES:
        raise FieldInvalid(f"there is no field {name!r}")
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | float):
        raise FieldInvalid(f"{name} takes one value")
    text = str(value)
    kind = TYPES[name]
    if kind == "date" and not _is_date(text):
        raise FieldInvalid(f"{name} is a date, YYYY-MM-DD")
    if kind == "email" and not _EMAIL.fullmatch(text):
        raise FieldInvalid(f"{name} is a mail address")
    if kind == "status" and text not in ("Active", "Inactive"):
        raise FieldInvalid(f"{name} is Active or Inactive")
    if name == "timezone" and not _is_zone(text):
        raise FieldInvalid(f"{name} is an IANA time zone")
    return text


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
