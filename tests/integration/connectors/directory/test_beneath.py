"""Calls are held to the subtree of the settings, whatever is said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from factotum.connectors.directory.wire import Directory
from factotum.sdk.errors import (
    InvalidArgument,
    NotPermitted,
)
from tests.support.directory import (
    PEOPLE,
    STAFF,
    call,
    numbers,
    person,
    raw,
    settings_of,
)
from tests.support.slapd import ADMIN, BASE, PASSWORD, READER, Slapd


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
