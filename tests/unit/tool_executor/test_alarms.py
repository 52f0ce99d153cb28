"""Alarms ring at their time and those that were dropped do not; a deadline is what asyncio's own timeout is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest

from factotum.tool_executor.alarms import Alarms, Deadline

Limit = Callable[[float | None], AbstractAsyncContextManager[Any]]


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_they_ring_in_their_order_and_none_that_was_dropped() -> None:
    alarms, rung, began = Alarms(), [], now()
    late = alarms.set(began + 0.06, lambda: rung.append(("late", now() - began >= 0.06)))
    dropped = [alarms.set(began + 0.02, lambda: rung.append(("dropped", True))) for _ in range(3)]
    alarms.set(began + 0.04, lambda: rung.append(("early", now() - began >= 0.04)))
    alarms.set(began - 1, lambda: rung.append(("past", True)))
    for alarm in dropped:
        alarms.drop(alarm)
    assert rung == []
    await asyncio.sleep(0.05)
    assert rung == [("past", True), ("early", True)]
    await asyncio.sleep(0.03)
    assert rung == [("past", True), ("early", True), ("late", True)]
    alarms.drop(late)
    # After a time in which none was set.
    alarms.set(now(), lambda: rung.append(("again", True)))
    await asyncio.sleep(0.01)
    assert rung[-1] == ("again", True)


def limits(kind: str) -> Limit:
    alarms = Alarms()

    @asynccontextmanager
    async def ours(seconds: float | None) -> Any:
        with Deadline(alarms, None if seconds is None else now() + seconds) as limit:
            yield limit

    return ours if kind == "ours" else asyncio.timeout


@pytest.mark.parametrize("kind", ["ours", "asyncio's"])
class TestDeadline:
    """Held beside what it stands for."""

    async def test_the_block_is_ended_at_its_time_and_the_task_goes_on(self, kind: str) -> None:
        limit = limits(kind)
        with pytest.raises(TimeoutError) as raised:
            async with limit(0.01) as cut:
                await asyncio.sleep(5)
        assert cut.expired() and isinstance(raised.value.__cause__, asyncio.CancelledError)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0

    async def test_a_block_that_ends_before_is_left_alone(self, kind: str) -> None:
        limit = limits(kind)
        async with limit(0.01) as cut:
            pass
        await asyncio.sleep(0.02)
        assert not cut.expired()

    async def test_what_is_set_within_the_block_counts(self, kind: str) -> None:
        limit = limits(kind)
        for first in (None, 0.01, 5.0):
            with pytest.raises(TimeoutError):
                async with limit(first) as cut:
                    cut.reschedule(now() + 0.03)
                    await asyncio.sleep(0.02)
                    assert not cut.expired()
                    await asyncio.sleep(5)

    async def test_the_inner_and_the_outer_end_their_own(self, kind: str) -> None:
        limit, ended = limits(kind), []
        with pytest.raises(TimeoutError):
            async with limit(0.03):
                try:
                    async with limit(0.01):
                        await asyncio.sleep(5)
                except TimeoutError:
                    ended.append("inner")
                await asyncio.sleep(5)
        assert ended == ["inner"]

    async def test_a_cancel_of_somebody_else_stays_one(self, kind: str) -> None:
        limit, seen = limits(kind), []

        async def work() -> None:
            try:
                async with limit(0.0):
                    await asyncio.sleep(5)
            except TimeoutError:
                seen.append("time")

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled() and seen == []

    async def test_another_error_goes_on_as_it_is(self, kind: str) -> None:
        limit = limits(kind)
        with pytest.raises(LookupError):
            async with limit(0.01):
                try:
                    await asyncio.sleep(5)
                except asyncio.CancelledError:
                    raise LookupError from None
