"""Marks say of a record what the identifiers themselves would say, and hold none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import Place, Record
from factotum.memory.concerning import Concerns, checked_identifiers
from factotum.memory.marks import Mark, concerned, mark_of
from factotum.memory.recently_forgotten import KEPT_FOR, READ_EVERY, RecentlyForgotten

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ADA = "ada@acme.example"
PIECES = [
    "ada",
    "lovelace",
    "king",
    "bob",
    "4711",
    "e",
    "1042.5",
    "ada@acme.example",
    "acme.example",
    "o'brien@acme.example",
    "ada%40acme.example",
]
GLUE = [" ", " ", "-", ".", ",", "_", "/", ":", "+", "@", " said to "]


def marked(identifiers: Sequence[str], salt: str = "salt") -> Mark:
    return mark_of("acme", checked_identifiers(identifiers), NOW, salt)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Ada Lovelace", "ada", "e-4711", "4711", ADA, "o'brien@acme.example", "Ada King Lovelace"]),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(GLUE)), max_size=9),
)
def test_a_mark_says_what_the_identifiers_say(identifiers: list[str], said: list[tuple[str, str]]) -> None:
    record = Record(text="".join(piece + glue for piece, glue in said))
    assert concerned([marked(identifiers)], record) == Concerns(checked_identifiers(identifiers))(record)


@pytest.mark.parametrize(
    "record",
    [
        Record(subjects=["ADA@acme.example"]),
        Record(attributes_json='{"arguments": {"to": ["<ada@acme.example>"]}}'),
        Record(id="confirm?m=ada%40acme.example&x=1"),
        Record(place=Place(sequence="chat/ada@acme.example")),
    ],
)
def test_a_record_is_looked_at_everywhere(record: Record) -> None:
    assert concerned([marked(["bob"]), marked([ADA], "another")], record)
    assert not concerned([marked(["grace@acme.example"])], record)
    assert not concerned([], record)


def test_a_mark_holds_no_identifier_and_is_not_anothers() -> None:
    mark = marked([ADA, "Ada Lovelace", "4711"])
    assert not any(word in str(mark) for word in ("ada", "lovelace", "4711", "example"))
    assert marked([ADA]).hashes.isdisjoint(marked([ADA], "another").hashes)


class Store:
    def __init__(self, *, is_shared: bool) -> None:
        self.is_shared = is_shared
        self.kept: list[Mark] = []
        self.asked: list[datetime] = []

    async def marks(self, since: datetime) -> list[Mark]:
        self.asked.append(since)
        return [mark for mark in self.kept if mark.moment >= since]


async def test_what_another_process_forgot_is_known_and_for_a_day_only() -> None:
    here, there = RecentlyForgotten(lambda: "here"), RecentlyForgotten(lambda: "there")
    store = Store(is_shared=True)
    late = Record(text=f"A mail to {ADA}")
    late.created_at.FromDatetime(NOW - timedelta(minutes=1))
    store.kept.append(there.note("acme", (ADA,), NOW))
    assert not here.concerns("acme", late)
    assert await here.read(store, NOW)
    assert here.concerns("acme", late)
    assert not here.concerns("globex", late)
    assert not await here.read(store, NOW), "nothing new"
    late.created_at.FromDatetime(NOW + timedelta(minutes=1))
    assert not here.concerns("acme", late), "it happened after that"
    late.created_at.FromDatetime(NOW - timedelta(minutes=1))
    await here.read(store, NOW + KEPT_FOR + timedelta(seconds=1))
    assert not here.concerns("acme", late)


async def test_a_store_of_ones_own_is_read_at_the_start_and_seldom_afterwards() -> None:
    forgotten, store = RecentlyForgotten(lambda: "salt"), Store(is_shared=False)
    for minutes in (0, 1, 59):
        await forgotten.read(store, NOW + timedelta(minutes=minutes))
    assert len(store.asked) == 1
    await forgotten.read(store, NOW + READ_EVERY)
    assert len(store.asked) == 2


def test_a_salt_serves_a_tenant_for_a_day() -> None:
    salts = iter("abc")
    forgotten = RecentlyForgotten(lambda: next(salts))
    first = forgotten.note("acme", (ADA,), NOW)
    assert replace(forgotten.note("acme", (ADA,), NOW + timedelta(hours=1)), moment=NOW) == first
    assert forgotten.note("globex", (ADA,), NOW).salt == "b"
    assert forgotten.note("acme", (ADA,), NOW + KEPT_FOR).salt == "c"
