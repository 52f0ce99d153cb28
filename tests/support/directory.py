"""Calls of the directory connector in tests, and what an administrator sees of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from factotum.connectors.directory.settings import DirectorySettings
from factotum.connectors.directory.tools import connector
from factotum.connectors.directory.wire import Directory
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import NotFound
from tests.support.slapd import ADMIN, BASE, PASSWORD, Slapd
from tests.support.tool_calls import tool_context

PEOPLE, GROUPS, LEFT = f"ou=people,{BASE}", f"ou=groups,{BASE}", f"ou=left,{BASE}"
STAFF = f"cn=staff,{GROUPS}"
NEW_PASSWORD = "correct horse, bättery"
numbers = count(1)


def settings_of(server: Slapd, **more: Any) -> DirectorySettings:
    given = {"url": server.url, "base": BASE, "start_tls": False, "bind_dn": ADMIN, "password": "secret://bind"}
    return DirectorySettings.model_validate(given | more)


def context_of(server: Slapd, *, started_at: datetime | None = None, **more: Any) -> ToolContext[DirectorySettings]:
    return tool_context(
        settings_of(server, **more),
        key=f"key-{next(numbers)}",
        started_at=started_at or datetime.now(UTC),
        bind=PASSWORD,
        new=NEW_PASSWORD,
    )


async def call(server: Slapd, name: str, arguments: Mapping[str, Any], **more: Any) -> Any:
    tool = connector.tools[f"directory.{name}"]
    return await tool.function(tool.arguments.model_validate(arguments), context_of(server, **more))


async def asked(server: Slapd, name: str, arguments: Mapping[str, Any], **more: Any) -> Any:
    tool = connector.tools[f"directory.{name}"]
    assert tool.reconciler is not None
    return await tool.reconciler(tool.arguments.model_validate(arguments), context_of(server, **more))


def person(**more: Any) -> dict[str, Any]:
    name = f"ada{next(numbers)}"
    attributes = {"cn": ["Ada Lovelace"], "sn": ["Lovelace"], "mail": [f"{name}@acme.example"]}
    given = {"under": PEOPLE, "name": {"uid": name}, "object_classes": ["inetOrgPerson"], "attributes": attributes}
    return given | more


async def made(server: Slapd, **more: Any) -> Any:
    return await call(server, "create_entry", person(**more))


def raw(server: Slapd, base: str, *attributes: str) -> list[tuple[str, dict[str, list[bytes]]]]:
    """What an administrator sees."""
    with Directory(settings_of(server)).bound(ADMIN, PASSWORD) as directory:
        try:
            return directory.search(base, "(objectClass=*)", scope="entry", attributes=attributes or ("*",), limit=1)[0]
        except NotFound:
            return []


def members(server: Slapd) -> list[str]:
    return [value.decode() for value in raw(server, STAFF)[0][1]["member"]]
