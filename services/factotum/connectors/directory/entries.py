"""Looking at entries, and doing so in a thread.

Names are beneath the tenant's base already. Raises `ToolError`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from factotum.connectors.directory import filters
from factotum.connectors.directory.arguments import Entry
from factotum.connectors.directory.names import Name
from factotum.connectors.directory.settings import DirectorySettings
from factotum.connectors.directory.wire import Directory
from factotum.connectors.threads import in_thread
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, NotFound, ToolError, Unavailable

T = TypeVar("T")


async def bound(context: ToolContext[DirectorySettings], work: Callable[[Directory], T]) -> T:
    settings = context.settings
    password = None if settings.password is None else context.secret(settings.password)
    directory = Directory(settings)

    def whole() -> T:
        with directory.bound(settings.bind_dn, password) as bound:
            return work(bound)

    return await in_thread(whole, lane=f"directory/{context.tenant}", stop=directory.stop)


async def asked(context: ToolContext[DirectorySettings], work: Callable[[Directory], T]) -> T:
    """For questions: whatever keeps them from being asked says nothing of the effect."""
    try:
        return await bound(context, work)
    except Ambiguous:
        raise
    except ToolError as error:
        raise Unavailable(f"the directory cannot be asked now: {error.message}", effect_possible=True) from error


def is_member(directory: Directory, group: Name, member: Name, attribute: str) -> bool | None:
    """None if there is no such group."""
    if look(directory, group, "entryUUID") is None:
        return None
    matching = f"({attribute}={filters.escaped(str(member))})"
    found, _ = directory.search(str(group), matching, scope="entry", attributes=["entryUUID"], limit=1)
    return bool(found)


def look(directory: Directory, name: Name, *attributes: str) -> dict[str, list[bytes]] | None:
    """These attributes of an entry, None if it is not there."""
    try:
        found, _ = directory.search(str(name), "(objectClass=*)", scope="entry", attributes=attributes, limit=1)
    except NotFound:
        return None
    return found[0][1] if found else None


def uuid(directory: Directory, name: Name) -> str | None:
    """None where the directory has none, or does not tell now: the entry is made all the same."""
    try:
        found = look(directory, name, "entryUUID")
    except ToolError:
        return None
    return None if found is None else one(found, "entryUUID")


def one(values: dict[str, list[bytes]], attribute: str) -> str | None:
    found = values.get(attribute) or [b""]
    return found[0].decode("utf-8", "replace") or None


def moment(text: str) -> datetime:
    """A generalized time (RFC 4517 §3.3.13), of which directories write the form in UTC."""
    try:
        return datetime.strptime(text.partition(".")[0].rstrip("Z"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise Ambiguous(f"the directory's time {text!r} cannot be read") from error


def entry(dn: str, values: dict[str, list[bytes]]) -> Entry:
    text: dict[str, list[str]] = {}
    binary: dict[str, list[str]] = {}
    for attribute, found in values.items():
        if attribute.partition(";")[0].lower() in filters.SECRET or attribute == "entryUUID":
            continue
        try:
            text[attribute] = [value.decode() for value in found]
        except UnicodeDecodeError:
            binary[attribute] = [base64.b64encode(value).decode() for value in found]
    return Entry(dn=dn, uuid=one(values, "entryUUID"), attributes=text, binary=binary)
