"""A change of the directory is made once, whatever is killed at whatever point."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from factotum.connectors.directory.settings import DirectorySettings
from factotum.connectors.directory.tools import CLOCK_SKEW, connector
from factotum.sdk.errors import (
    Ambiguous,
    Unavailable,
)
from factotum.sdk.testing import World, check_tool
from tests.support.directory import (
    LEFT,
    NEW_PASSWORD,
    PEOPLE,
    STAFF,
    asked,
    call,
    made,
    members,
    person,
    raw,
    settings_of,
)
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.slapd import PASSWORD, READER, Slapd
from tests.support.tool_calls import closed_port


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
