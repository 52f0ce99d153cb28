"""The directory connector on slapd."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ldap3.core import results

from factotum.connectors.directory import tools
from factotum.connectors.directory.results import refusal
from factotum.connectors.directory.settings import DirectorySettings
from factotum.connectors.directory.tools import CLOCK_SKEW, connector
from factotum.connectors.directory.wire import Directory
from factotum.sdk.errors import (
    Ambiguous,
    Cancelled,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    ToolError,
    Unavailable,
)
from factotum.sdk.testing import World, check_tool
from tests.support.directory import (
    GROUPS,
    LEFT,
    NEW_PASSWORD,
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
    settings_of,
)
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.slapd import ADMIN, BASE, PASSWORD, READER, Slapd, slapd
from tests.support.tool_calls import closed_port


@pytest.fixture(scope="session")
def server() -> Iterator[Slapd]:
    with slapd() as running:
        yield running


# What they do


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


# Held to its subtree, whatever is said


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Co"]), min_size=1, max_size=12))
@example("*")
@example("x)(objectClass=*")
@example("x,ou=groups")
@example(r"a\2c")
@example(" #x ")
@example("a+uid=b")
@example("\\")
def test_a_value_is_nothing_but_a_value(server: Slapd, text: str) -> None:
    number = next(numbers)
    value = f"{text}x{number}"

    async def run() -> None:
        entry = person(name={"cn": value}, attributes={"sn": ["x"]})
        try:
            created = await call(server, "create_entry", entry)
        except InvalidArgument:
            # A character that slapd has no place for in a name.
            return
        condition = {"attribute": "cn", "operator": "equals", "value": value}
        found = await call(server, "find", {"conditions": [condition]})
        assert [one.uuid for one in found.entries] == [created.uuid]
        assert raw(server, created.dn)
        assert found.entries[0].dn.lower().endswith(f",{PEOPLE}")
        # What another tool answers is taken by the next.
        await call(server, "delete_entry", {"dn": found.entries[0].dn, "uuid": created.uuid})
        assert raw(server, created.dn) == []

    asyncio.run(run())


async def test_a_neighbour_whose_name_is_nearly_the_bases_is_not_touched(server: Slapd) -> None:
    ours, theirs = "o=Strasse,dc=example", "o=Straße,dc=example"
    entry = f"cn=salaries,{theirs}"
    with Directory(settings_of(server)).bound(ADMIN, PASSWORD) as directory:
        for name in (ours, theirs):
            directory.add(name, ["organization"], {})
        directory.add(entry, ["organizationalRole"], {})
    for call_of in (
        ("find", {"under": theirs}),
        ("delete_entry", {"dn": entry}),
        ("modify_entry", {"dn": entry, "replace": {"description": ["x"]}}),
    ):
        with pytest.raises(NotPermitted, match="not beneath"):
            await call(server, *call_of, base=ours)
    assert raw(server, entry)
    assert [one.dn for one in (await call(server, "find", {}, base=ours.upper())).entries] == [ours]


OUTSIDE = "cn=secret,dc=globex,dc=example"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("find", {"under": "dc=example"}),
        ("find", {"under": OUTSIDE}),
        (
            "create_entry",
            {
                "under": "dc=globex,dc=example",
                "name": {"cn": "x"},
                "object_classes": ["organizationalRole"],
                "attributes": {},
            },
        ),
        ("modify_entry", {"dn": OUTSIDE, "replace": {"description": ["x"]}}),
        ("delete_entry", {"dn": OUTSIDE}),
        ("add_to_group", {"group": STAFF, "member": OUTSIDE}),
        ("add_to_group", {"group": OUTSIDE, "member": READER}),
        ("set_password", {"dn": OUTSIDE, "secret": "new"}),
        ("move", {"dn": OUTSIDE, "uuid": "x", "under": PEOPLE}),
        ("move", {"dn": READER, "uuid": "x", "under": "dc=globex,dc=example"}),
        ("move", {"dn": BASE, "uuid": "x", "name": {"dc": "other"}}),
    ],
)
async def test_no_name_outside_of_the_base(server: Slapd, name: str, given: Mapping[str, Any]) -> None:
    before = raw(server, OUTSIDE)
    with pytest.raises(NotPermitted, match=r"base|beneath"):
        await call(server, name, given)
    assert raw(server, OUTSIDE) == before


# Refusals and absence


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


# Once


async def test_an_entry_is_ours_by_its_time_and_its_maker(server: Slapd) -> None:
    given = person()
    assert await asked(server, "create_entry", given) is None
    created = await call(server, "create_entry", given)
    assert await asked(server, "create_entry", given) == created
    late = datetime.now(UTC) + CLOCK_SKEW + timedelta(seconds=2)
    assert await asked(server, "create_entry", given, started_at=late) is None
    assert await asked(server, "create_entry", given, bind_dn=READER) is None
    with pytest.raises(Unavailable) as raised:
        await asked(server, "create_entry", given, url=f"ldap://localhost:{closed_port()}")
    assert raised.value.effect_possible


async def test_an_entry_without_a_time_is_for_a_person(server: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    given = person()
    await call(server, "create_entry", given)
    monkeypatch.setattr("factotum.connectors.directory.entries.look", lambda *_: {"entryUUID": [b"x"]})
    with pytest.raises(Ambiguous):
        await asked(server, "create_entry", given)


async def arguments(server: Slapd, name: str) -> dict[str, Any]:
    if name == "find":
        return {"under": PEOPLE}
    if name == "create_entry":
        return person()
    ada = await made(server)
    if name == "remove_from_group":
        await call(server, "add_to_group", {"group": STAFF, "member": ada.dn})
    return {
        "modify_entry": {"dn": ada.dn, "replace": {"title": ["Countess"]}},
        "delete_entry": {"dn": ada.dn, "uuid": ada.uuid},
        "add_to_group": {"group": STAFF, "member": ada.dn},
        "remove_from_group": {"group": STAFF, "member": ada.dn},
        "set_password": {"dn": ada.dn, "secret": "new"},
        "move": {"dn": ada.dn, "uuid": ada.uuid, "under": LEFT},
    }[name]


def standing(server: Slapd, name: str, given: Mapping[str, Any]) -> int:
    if name == "create_entry":
        return len(raw(server, f"uid={given['name']['uid']},{PEOPLE}"))
    if name == "modify_entry":
        return raw(server, given["dn"])[0][1].get("title", []).count(b"Countess")
    if name == "delete_entry":
        return int(not raw(server, given["dn"]))
    if name == "set_password":
        return len(raw(server, given["dn"])[0][1].get("userPassword", []))
    if name == "move":
        return len(raw(server, given["dn"].replace(PEOPLE, LEFT)))
    there = members(server).count(given["member"])
    return int(not there) if name == "remove_from_group" else there


@pytest.mark.parametrize("name", [name.partition(".")[2] for name in connector.tools])
async def test_conformance(server: Slapd, name: str) -> None:
    async def stands(given: Mapping[str, Any]) -> int:
        return standing(server, name, given)

    undo = connector.tools[f"directory.{name}"].spec.compensation
    world: World[DirectorySettings] = World(
        settings=settings_of(server),
        arguments=lambda _: arguments(server, name),
        standing=None if name == "find" else stands,
        undo=undo and connector.tools[undo.call],
        secrets={"bind": PASSWORD, "new": NEW_PASSWORD} if name == "set_password" else {"bind": PASSWORD},
        away=settings_of(server, url=f"ldap://localhost:{closed_port()}"),
    )
    (await check_tool(connector.tools[f"directory.{name}"], world)).assert_passed()


@pytest.mark.parametrize("point", KillPoint)
@pytest.mark.parametrize("name", [name.partition(".")[2] for name in connector.tools if name != "directory.find"])
async def test_a_killed_executor_acts_once(server: Slapd, name: str, point: KillPoint, tmp_path: Path) -> None:
    given = await arguments(server, name)
    secrets = {"bind": PASSWORD, "new": NEW_PASSWORD}
    house = House(connector, settings_of(server), tmp_path, secrets, declared=frozenset({"new"}))
    answer = await killed_and_called_again(house, f"directory.{name}", given, point)
    assert answer.error is None
    assert standing(server, name, given) == 1
