"""Plain words for what a call or a run was given and gave. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from factotum.events.redaction import without_secrets
from factotum.memory.records import MAX_TEXT_BYTES

CUT_MARK = " … [cut]"
MAX_DETAILS = 40
MAX_DETAIL_CHARACTERS = 200

_FULL_NAMES = ("displayName", "fullName", "formatted", "display_name", "full_name")
_PARTS_OF_NAMES = (("firstName", "lastName"), ("givenName", "familyName"), ("first_name", "last_name"))


def cut(text: str) -> str:
    """The text in at most `MAX_TEXT_BYTES` of UTF-8; a longer one ends with a mark that says so."""
    encoded = text.encode()
    if len(encoded) <= MAX_TEXT_BYTES:
        return text
    return encoded[: MAX_TEXT_BYTES - len(CUT_MARK.encode())].decode(errors="ignore") + CUT_MARK


def name_in(value: Any) -> str:
    """The first name of a person or thing found in it, breadth first; empty if there is none."""
    level = [value]
    while level:
        for item in level:
            if isinstance(item, dict) and (name := _own_name(item)):
                return name
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return ""


def _own_name(item: dict[str, Any]) -> str:
    for key in _FULL_NAMES:
        if isinstance(item.get(key), str) and item[key].strip():
            return shortened(item[key], MAX_DETAIL_CHARACTERS)
    for first, last in _PARTS_OF_NAMES:
        if isinstance(item.get(first), str) and isinstance(item.get(last), str):
            return shortened(f"{item[first]} {item[last]}", MAX_DETAIL_CHARACTERS)
    return ""


def details(value: Any) -> str:
    """The scalars in it as `name value, name value`, the first `MAX_DETAILS` of them."""
    told: list[str] = []
    for path, leaf in _leaves(without_secrets(value), ()):
        if len(told) == MAX_DETAILS:
            told.append("…")
            break
        # The last two names tell apart `manager email` from `employee email`.
        label = " ".join(map(words, path[-2:]))
        told.append(f"{label} {shortened(leaf, MAX_DETAIL_CHARACTERS)}".strip())
    return ", ".join(told)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif isinstance(value, bool):
        yield path, "yes" if value else "no"
    elif value is not None and str(value).strip():
        yield path, str(value)


def shortened(text: str, longest: int) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def words(name: str) -> str:
    """`workEmail`, `work_email` and `work-email` as `work email`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[-_:]+", " ", name)).lower().strip()


def procedure_words(full_name: str) -> str:
    """`employee onboarding` of `hr/employee-onboarding`."""
    return words(full_name.rpartition("/")[2])


def step_words(pointer: str) -> str:
    """The name at the end of a JSON pointer, e.g. `create account` of `/do/0/createAccount`."""
    return words(pointer.rstrip("/").rpartition("/")[2]) or pointer
