"""Observations of no effect are written a moment later, together; none is lost but by a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from factotum.tool_executor import postponed
from factotum.tool_executor.errors import LedgerUnavailable
from factotum.tool_executor.ledger import Publication
from factotum.tool_executor.postponed import Postponed
from tests.support.ledgers import Open, waiting


def publications(*names: str) -> list[Publication]:
    return [Publication("acme/run", name.encode(), "") for name in names]


class Away:
    """A ledger that is away for so many tries."""

    def __init__(self, tries: int) -> None:
        self.tries = tries
        self.written: list[list[Publication]] = []

    async def publish_later(self, publications: Sequence[Publication]) -> None:
        await asyncio.sleep(0)
        if self.tries:
            self.tries -= 1
            raise LedgerUnavailable("the disk is full")
        self.written.append(list(publications))


async def written(away: Away, count: int) -> None:
    async with asyncio.timeout(5):
        while sum(map(len, away.written)) < count:
            await asyncio.sleep(0.005)


async def test_together_within_a_moment(opened: Open) -> None:
    async with opened() as ledger, Postponed(ledger) as later:
        one, *others = publications("a", "b", "c")
        await later.add(one)
        assert await waiting(ledger) == []
        for other in others:
            await later.add(other)
        async with asyncio.timeout(5):
            while not (found := await waiting(ledger)):
                await asyncio.sleep(0.005)
        assert found == [one, *others]


async def test_what_is_left_is_written_at_the_end(opened: Open) -> None:
    async with opened() as ledger:
        async with Postponed(ledger) as later:
            for one in publications("a", "b"):
                await later.add(one)
        assert await waiting(ledger) == publications("a", "b")


async def test_while_the_ledger_is_away_they_wait_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postponed, "BACK_OFF_SECONDS", 0.01)
    away = Away(3)
    async with Postponed(away) as later:  # type: ignore[arg-type]
        for one in publications("a", "b"):
            await later.add(one)
        await written(away, 2)
        assert away.written == [publications("a", "b")]
        # Once written, the next begins anew.
        await later.add(publications("c")[0])
        await written(away, 3)


async def test_when_too_many_wait_the_next_waits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postponed, "MOST_WAITING", 2)
    monkeypatch.setattr(postponed, "MOMENT_SECONDS", 60)
    away = Away(1)
    async with Postponed(away) as later:  # type: ignore[arg-type]
        a, b, c, d = publications("a", "b", "c", "d")
        await later.add(a)
        await later.add(b)
        with pytest.raises(LedgerUnavailable):
            await later.add(c)
        await later.add(d)
        assert away.written == [[a, b, c, d]]


async def test_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postponed, "BATCH", 2)
    away = Away(0)
    async with Postponed(away) as later:  # type: ignore[arg-type]
        for one in publications("a", "b", "c"):
            await later.add(one)
    assert away.written == [publications("a", "b"), publications("c")]


async def test_those_that_come_while_others_are_written_wait_for_the_next_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postponed, "MOMENT_SECONDS", 60)
    away = Away(0)
    async with Postponed(away) as later:  # type: ignore[arg-type]
        a, b = publications("a", "b")
        await later.add(a)
        writing = asyncio.create_task(later.flush())
        await asyncio.sleep(0)
        await later.add(b)
        await writing
        assert away.written == [[a]]
