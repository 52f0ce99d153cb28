from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.listing import Position, page

START = datetime(2026, 11, 1, tzinfo=UTC)


def made(count: int, *, same_moment: int = 1) -> list[Record]:
    records = []
    for number in range(count):
        record = Record(id=f"r{number:03}")
        record.created_at.FromDatetime(START + timedelta(minutes=number // same_moment))
        records.append(record)
    return records


async def given(records: Sequence[Record]) -> AsyncIterator[Record]:
    for record in records:
        yield record


async def pages(records: Sequence[Record], limit: int) -> list[list[str]]:
    found, token = [], ""
    while True:
        some, token = await page(given(records), limit, Position.read(token))
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
    found, _ = await page(given(twice), 10, None)
    assert {record.id for record in found} == {"r000", "r001", "r002"}


@pytest.mark.parametrize("token", ["x", "e30=", "WzFd", "bnVsbA==", "W251bGwsICJhIl0="])
def test_a_token_of_no_answer_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="page_token"):
        Position.read(token)
