"""What the directory connector does on slapd, and what slapd refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from ldap3.core import results

from factotum.connectors.directory import tools
from factotum.connectors.directory.results import refusal
from factotum.sdk.errors import (
    Cancelled,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    ToolError,
    Unavailable,
)
from tests.support.directory import (
    GROUPS,
    LEFT,
    PEOPLE,
    STAFF,
    asked,
    call,
    context_of,
    made,
    members,
    numbers,
    person,
    raw,
)
from tests.support.slapd import BASE, READER, Slapd
from tests.support.tool_calls import closed_port


async def test_a_person_is_made_found_changed_moved_and_deleted(server: Slapd) -> None:
    ada = await made(server)
    condition = {"attribute": "mail", "operator": "equals", "value": f"{ada.dn.split(',')[0][4:]}@acme.example"}
    (found,) = (await call(server, "find", {"conditions": [condition], "attributes": ["cn", "mail"]})).entries
    assert (found.dn, found.uuid, found.attributes["cn"]) == (ada.dn, ada.uuid, ["Ada Lovelace"])
    replaced = {"telephoneNumber": ["+44 20 1"], "title": []}
    for _ in range(2):
        await call(server, "modify_entry", {"dn": ada.dn, "replace": replaced})
    (found,) = (await call(server, "find", {"under": ada.dn, "scope": "entry"})).entries
    assert found.attributes["telephoneNumber"] == ["+44 20 1"]
    moving = {"dn": ada.dn, "uuid": ada.uuid, "under": LEFT, "name": {"uid": f"left{next(numbers)}"}}
    for _ in range(2):
        moved = await call(server, "move", moving)
    assert raw(server, ada.dn) == []
    back = {"dn": moved.dn, "uuid": moved.uuid, "name": moved.previous_name, "under": moved.previous_under}
    await call(server, "move", back)
    with pytest.raises(Conflict, match="another entry"):
        await call(server, "delete_entry", {"dn": ada.dn, "uuid": "0"})
    for _ in range(2):
        await call(server, "delete_entry", {"dn": ada.dn, "uuid": ada.uuid})
    assert raw(server, ada.dn) == []
    with pytest.raises(NotFound):
        await call(server, "move", moving)


async def test_members_come_and_go_once(server: Slapd) -> None:
    ada = await made(server)
    for _ in range(2):
        await call(server, "add_to_group", {"group": STAFF, "member": ada.dn})
    assert members(server).count(ada.dn) == 1
    # As another writes it, it is the same member.
    await call(server, "add_to_group", {"group": STAFF, "member": ada.dn.upper().replace(",", " , ")})
    for _ in range(2):
        await call(server, "remove_from_group", {"group": STAFF, "member": ada.dn})
    assert ada.dn not in members(server)
    for name in ("add_to_group", "remove_from_group"):
        with pytest.raises(NotFound):
            await call(server, name, {"group": f"cn=nobody,{GROUPS}", "member": ada.dn})
    # groupOfNames holds one member at least (RFC 4519 §3.5).
    with pytest.raises(InvalidArgument, match="requires attribute"):
        await call(server, "remove_from_group", {"group": STAFF, "member": READER})


async def test_a_password_is_set_from_a_secret_and_never_told(server: Slapd) -> None:
    ada = await made(server)
    arguments = {"dn": ada.dn, "secret": "new"}
    assert await asked(server, "set_password", arguments) is None
    await call(server, "set_password", arguments)
    assert await asked(server, "set_password", arguments) is not None
    assert raw(server, ada.dn)[0][1]["userPassword"][0].startswith(b"{SSHA}")
    (found,) = (await call(server, "find", {"under": ada.dn, "scope": "entry"})).entries
    assert "userPassword" not in found.attributes | found.binary
    hidden = {"attribute": "userPassword", "operator": "starts_with", "value": "{SSHA}"}
    for name, hiding in (
        ("find", {"attributes": ["USERPASSWORD"]}),
        ("find", {"conditions": [hidden]}),
        ("modify_entry", {"dn": ada.dn, "replace": {"userPassword": ["x"]}}),
        ("modify_entry", {"dn": STAFF, "replace": {"Member": [ada.dn]}}),
        ("create_entry", person(attributes={"cn": ["x"], "sn": ["x"], "userPassword": ["x"]})),
        ("set_password", {"dn": ada.dn, "secret": "other"}),
    ):
        with pytest.raises(NotPermitted):
            await call(server, name, hiding)


async def test_conditions(server: Slapd) -> None:
    mark = f"mark{next(numbers)}"
    for number in range(3):
        more = {"employeeNumber": [str(number)]} if number else {}
        await made(server, attributes={"cn": [f"{mark} {number}"], "sn": ["x"], **more})

    async def found(*conditions: tuple[str, str, str | None], match: str = "all", **more: Any) -> list[str]:
        given = [{"attribute": a, "operator": o, "value": v} for a, o, v in conditions]
        answer = await call(server, "find", {"conditions": given, "match": match, "under": PEOPLE, **more})
        return sorted(entry.attributes["cn"][0][-1] for entry in answer.entries)

    ours = ("cn", "starts_with", mark)
    assert await found(ours) == ["0", "1", "2"]
    assert await found(ours, ("employeeNumber", "present", None)) == ["1", "2"]
    assert await found(ours, ("employeeNumber", "absent", None)) == ["0"]
    assert await found(("cn", "equals", f"{mark} 0"), ("cn", "equals", f"{mark} 2"), match="any") == ["0", "2"]
    assert await found(ours, ("cn", "ends_with", "1")) == ["1"]
    assert await found(("cn", "contains", f"{mark[2:]} ")) == ["0", "1", "2"]
    assert await found(("cn", "equals", f"{mark}*")) == []
    assert await found(ours, scope="entry") == []
    cut = await call(server, "find", {"under": PEOPLE, "limit": 2})
    assert (len(cut.entries), cut.truncated) == (2, True)
    with pytest.raises(NotFound):
        await call(server, "find", {"under": f"ou=nowhere,{BASE}"})


async def test_more_entries_than_a_page_has(server: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.connectors.directory.wire._PAGE", 2)
    whole = await call(server, "find", {"scope": "subtree", "limit": 1000})
    assert len(whole.entries) == len({entry.dn for entry in whole.entries}) > 5
    assert not whole.truncated


async def test_what_the_directory_refuses(server: Slapd) -> None:
    ada = await made(server)
    taken = raw(server, ada.dn)[0][1]["mail"][0].decode()
    for error, name, arguments in (
        (Conflict, "create_entry", person(name={"uid": ada.dn.split(",")[0][4:]})),
        (Conflict, "create_entry", person(attributes={"cn": ["x"], "sn": ["x"], "mail": [taken]})),
        (Conflict, "delete_entry", {"dn": PEOPLE}),
        (InvalidArgument, "create_entry", person(attributes={})),
        (InvalidArgument, "create_entry", person(object_classes=["nothing"])),
        (InvalidArgument, "modify_entry", {"dn": ada.dn, "replace": {"nothing": ["x"]}}),
        (InvalidArgument, "modify_entry", {"dn": ada.dn, "replace": {"uid": ["other"]}}),
        (NotFound, "modify_entry", {"dn": f"uid=nobody,{PEOPLE}", "replace": {"title": ["x"]}}),
        (NotFound, "create_entry", person(under=f"ou=nowhere,{BASE}")),
    ):
        with pytest.raises(error) as raised:
            await call(server, name, arguments)
        assert not raised.value.effect_possible, raised.value.message
    with pytest.raises(NotPermitted, match="insufficientAccessRights"):
        await call(server, "create_entry", person(), bind_dn=READER)
    with pytest.raises(NotPermitted, match="invalidCredentials"):
        await call(server, "find", {}, bind_dn=f"cn=nobody,{BASE}")


@pytest.mark.parametrize(
    ("code", "error", "possible"),
    [
        (results.RESULT_BUSY, Unavailable, False),
        (results.RESULT_UNAVAILABLE, Unavailable, True),
        (results.RESULT_INSUFFICIENT_ACCESS_RIGHTS, NotPermitted, False),
        (results.RESULT_CONSTRAINT_VIOLATION, Conflict, False),
        (results.RESULT_UNWILLING_TO_PERFORM, Failed, False),
        (results.RESULT_OTHER, Failed, True),
        (9999, Failed, False),
    ],
)
def test_result_codes(code: int, error: type[ToolError], possible: bool) -> None:
    made = refusal({"result": code, "description": "x", "message": "y"})
    assert (type(made), made.effect_possible) == (error, possible)


async def test_ways_to_it(server: Slapd) -> None:
    secure = {"start_tls": True, "ca": str(server.ca)}
    for more in (secure | {"url": server.tls_url}, secure, {}):
        assert (await call(server, "find", {"scope": "entry"}, **more)).entries
    with pytest.raises(NotFound):
        # To nobody in particular it shows nothing.
        await call(server, "find", {"scope": "entry"}, bind_dn=None, password=None)
    by_number = server.url.replace("localhost", "127.0.0.1")
    for more in (
        {"url": server.tls_url, "ca": None},
        {"url": server.url, "ca": None},
        {"url": by_number},
        {"url": server.tls_url.replace("localhost", "127.0.0.1")},
        {"ca": "/nowhere.pem"},
    ):
        with pytest.raises(Failed) as raised:
            await call(server, "find", {}, **secure | more)
        assert not raised.value.effect_possible
    with pytest.raises(Unavailable) as away:
        await call(server, "create_entry", person(), url=f"ldap://localhost:{closed_port()}")
    assert not away.value.effect_possible


async def test_an_empty_password_signs_nobody_in(server: Slapd) -> None:
    context = replace(context_of(server), secret=lambda _: "")
    with pytest.raises(NotPermitted, match="empty"):
        await tools.find.function(tools.find.arguments(), context)


@asynccontextmanager
async def deaf() -> AsyncIterator[int]:
    """A server that says nothing; its port."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_that_says_nothing(server: Slapd) -> None:
    async with deaf() as port:
        silent = {"url": f"ldap://127.0.0.1:{port}", "start_tls": False}
        with pytest.raises(Unavailable):
            await call(server, "find", {}, **silent, seconds=1)
        task = asyncio.create_task(call(server, "create_entry", person(), **silent, seconds=60))
        await asyncio.sleep(0.2)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(Cancelled):
            await task
        assert time.monotonic() - started < 2
