from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import KIND_OBSERVATION, Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.listing import Position, newest, page
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Entry, Scope

START = datetime(2026, 11, 1, tzinfo=UTC)
ACME = Scope(tenant="acme")


def made(count: int, *, same_moment: int = 1) -> list[Record]:
    records = []
    for number in range(count):
        record = Record(id=f"r{number:03}")
        record.created_at.FromDatetime(START + timedelta(minutes=number // same_moment))
        records.append(record)
    return records


async def streamed(records: Sequence[Record]) -> AsyncIterator[Record]:
    for record in records:
        yield record


async def pages(records: Sequence[Record], limit: int) -> list[list[str]]:
    found, token = [], ""
    while True:
        some, token = await page(streamed(records), limit, Position.read(token))
        found.append([record.id for record in some])
        if not token:
            return found


@pytest.mark.parametrize("limit", [1, 3, 7, 20, 21, 500])
async def test_pages_hold_every_record_once_newest_first(limit: int) -> None:
    records = made(20, same_moment=3)
    shuffled = random.Random(limit).sample(records, len(records))
    got = await pages(shuffled, limit)
    newest = sorted(records, key=lambda record: (-record.created_at.seconds, record.id))
    assert [identity for one in got for identity in one] == [record.id for record in newest]
    assert all(len(one) == limit for one in got[:-1])


async def test_nothing_is_one_empty_page() -> None:
    assert await pages([], 10) == [[]]


async def test_a_record_that_comes_twice_while_it_is_changed_stops_nothing() -> None:
    twice = made(3) + made(3)
    found, _ = await page(streamed(twice), 10, None)
    assert {record.id for record in found} == {"r000", "r001", "r002"}


class Counted(InMemoryStore):
    """Counts what was read of it."""

    read = 0

    async def records(self, scope: Scope) -> AsyncIterator[Record]:
        async for record in super().records(scope):
            self.read += 1
            yield record


async def kept(moments: Sequence[datetime]) -> Counted:
    store = Counted()
    for number, moment in enumerate(moments):
        record = Record(id=f"r{number:04}", kind=KIND_OBSERVATION, text="x")
        record.created_at.FromDatetime(moment)
        await store.upsert([Entry("acme", record, "x", np.ones(1, np.float32))])
    return store


async def listed(store: Counted, limit: int, scope: Scope = ACME) -> list[str]:
    found, token, position = list[str](), "", None
    while True:
        some, token = await newest(store, scope, limit, position, START)
        found += [record.id for record in some]
        assert len(some) == limit or not token
        if not token:
            return found
        position = Position.read(token)


@given(
    minutes=st.lists(st.sampled_from([0, 0, 1, 59, 61, 600, 10**4, 10**6, 10**7, -10]), max_size=12),
    limit=st.integers(1, 5),
    within=st.tuples(st.sampled_from([None, 30, 10**5]), st.sampled_from([None, 10, -(10**6)])),
)
async def test_the_newest_are_those_of_all_pages(
    minutes: list[int], limit: int, within: tuple[int | None, int | None]
) -> None:
    moments = [START - timedelta(minutes=minute) for minute in minutes]
    after, before = (None if minute is None else START - timedelta(minutes=minute) for minute in within)
    scope = Scope(tenant="acme", after=after, before=before)
    store = await kept(moments)
    expected = sorted(
        (moment, f"r{n:04}")
        for n, moment in enumerate(moments)
        if (after is None or moment >= after) and (before is None or moment < before)
    )
    assert await listed(store, limit, scope) == [
        identity for _, identity in sorted(expected, key=lambda each: (START - each[0], each[1]))
    ]


async def test_a_page_reads_little_of_many() -> None:
    store = await kept([START - timedelta(hours=hour) for hour in range(3000)])
    found, token = await newest(store, ACME, 10, None, START)
    assert [record.id for record in found] == [f"r{n:04}" for n in range(10)]
    assert store.read < 100
    store.read = 0
    await newest(store, ACME, 10, Position.read(token), START)
    assert store.read < 100
    store.read = 0
    # Three years of silence, and then one long day.
    found, _ = await newest(store, ACME, 10, None, START + timedelta(days=1100))
    assert (found[0].id, store.read < 3000) == ("r0000", True)


async def test_the_ends_of_time_are_moments_too() -> None:
    ends = [datetime.min.replace(tzinfo=UTC), START, datetime.max.replace(tzinfo=UTC)]
    assert await listed(await kept(ends), 1) == ["r0002", "r0001", "r0000"]
    with pytest.raises(InvalidRequest, match="page_token"):
        await newest(await kept([]), ACME, 1, Position(10**30, "a"), START)


@pytest.mark.parametrize("token", ["x", "e30=", "WzFd", "bnVsbA==", "W251bGwsICJhIl0="])
def test_a_token_of_no_answer_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="page_token"):
        Position.read(token)
