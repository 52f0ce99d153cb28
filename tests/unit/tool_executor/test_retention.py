"""Effects are forgotten when their time is over, and only those of which all is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from factotum.tool_executor import retention
from factotum.tool_executor.ledger import State
from factotum.tool_executor.retention import Retention
from tests.support.ledgers import Open
from tests.support.tool_executor import Bench, bench


@pytest.fixture
async def b(tmp_path: Path, opened: Open) -> AsyncIterator[Bench]:
    async with bench(tmp_path, opened) as made:
        yield made


async def states(b: Bench) -> dict[str, State]:
    return {entry.key: entry.state for entry in await b.ledger.entries("acme", states=[], limit=99, run_id="")}


async def test_after_so_many_days(b: Bench) -> None:
    await b.call("create", "done")
    b.world.script("refuse", "hang", "lost", "fail")
    await b.call("create", "failed")
    await b.call("send", "ambiguous")
    await b.call("put", "in doubt")
    b.ahead = timedelta(days=29)
    kept = Retention(b.ledger, days=30, now=b.now)
    assert await kept.forget() == 0
    await b.call("create", "failed")  # changes it
    b.ahead = timedelta(days=31)
    assert await kept.forget() == 1 and "done" not in await states(b)
    b.ahead = timedelta(days=365)
    assert await kept.forget() == 1
    assert await states(b) == {"ambiguous": State.AMBIGUOUS, "in doubt": State.STARTED}


async def test_zero_days_are_for_ever(b: Bench) -> None:
    await b.call("create")
    b.ahead = timedelta(days=10_000)
    assert await Retention(b.ledger, days=0, now=b.now).forget() == 0
    assert await states(b)


async def test_one_batch_after_the_other_until_told_to_stop(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.001)
    for number in range(5):
        await b.call("put", f"k{number}")
    b.ahead = timedelta(days=2)
    stop = asyncio.Event()
    running = asyncio.ensure_future(Retention(b.ledger, days=1, now=b.now).run(stop))
    async with asyncio.timeout(5):
        while await states(b):
            await asyncio.sleep(0.01)
    assert not running.done()
    stop.set()
    async with asyncio.timeout(1):
        await running
