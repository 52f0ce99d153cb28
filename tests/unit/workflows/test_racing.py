"""Waiting for what is under way, and what becomes of it when the run itself is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from factotum.workflows.racing import ended


async def work(future: asyncio.Future[None]) -> None:
    try:
        await future
    finally:
        await ended(future)


def begun(future: asyncio.Future[None]) -> Coroutine[Any, Any, None]:
    coroutine = work(future)
    coroutine.send(None)
    return coroutine


async def test_what_is_dropped_waits_for_nothing() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begun(future).close()
    assert not future.done()


async def test_what_fails_waits_for_what_is_under_way() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(work(future))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() and future.cancelled()
