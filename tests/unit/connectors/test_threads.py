"""Work in threads: it is waited for, stopped, and what it gives counts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from factotum.connectors.threads import AT_ONCE, in_thread
from factotum.sdk.errors import Cancelled, Conflict, Failed


async def cancelled(work: Callable[[], Any], begun: threading.Event, **more: Any) -> Any:
    task = asyncio.create_task(in_thread(work, lane="x", **more))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    return await task


async def test_what_work_gives_or_raises() -> None:
    assert await in_thread(lambda: 7, lane="x") == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0, lane="x")


async def test_what_was_done_when_it_was_to_stop_is_told() -> None:
    begun, stopped = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert stopped.wait(5)
        return "done"

    assert await cancelled(work, begun, stop=stopped.set) == "done"


@pytest.mark.parametrize("error", [Conflict("taken"), Failed("halfway")])
async def test_what_it_says_of_the_effect_counts(error: Conflict | Failed) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert stopped.wait(5)
        raise error

    with pytest.raises(Cancelled) as raised:
        await cancelled(work, begun, stop=stopped.set)
    assert raised.value.effect_possible is error.effect_possible


async def test_work_that_does_not_hear_is_left_alone() -> None:
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        done.wait(5)

    with pytest.raises(asyncio.CancelledError):
        await cancelled(work, begun, patience=0.05)
    done.set()


async def test_it_is_told_again_to_stop() -> None:
    begun, done = threading.Event(), threading.Event()
    told: list[None] = []

    def work() -> int:
        begun.set()
        assert done.wait(5)
        return len(told)

    def stop() -> None:
        told.append(None)
        if len(told) == 2:
            done.set()

    assert await cancelled(work, begun, stop=stop) == 2


async def test_who_fills_his_lane_leaves_the_others_and_the_loop_their_threads() -> None:
    done = threading.Event()
    slow = [asyncio.create_task(in_thread(lambda: done.wait(5), lane="slow")) for _ in range(AT_ONCE + 20)]
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        assert await in_thread(lambda: 7, lane="other") == 7
        assert await asyncio.to_thread(lambda: 7) == 7
    assert threading.active_count() < AT_ONCE + 20
    done.set()
    assert all(await asyncio.gather(*slow))


async def test_work_that_waits_for_a_thread_is_never_begun_once_it_is_given_up() -> None:
    done, begun = threading.Event(), threading.Event()
    slow = [asyncio.create_task(in_thread(lambda: done.wait(5), lane="slow")) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    waiting = asyncio.create_task(in_thread(begun.set, lane="slow"))
    await asyncio.sleep(0)
    waiting.cancel()
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await waiting
    done.set()
    assert all(await asyncio.gather(*slow))
    assert await in_thread(lambda: 7, lane="slow") == 7
    assert not begun.is_set()
