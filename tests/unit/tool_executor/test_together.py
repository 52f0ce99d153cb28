"""What comes while others are under way goes together, and each is answered for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from factotum.tool_executor import together
from factotum.tool_executor.together import Together


class Doubling:
    """Waits until it may go on; what is below nought is refused."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.go = asyncio.Event()
        self.fault: BaseException | None = None

    async def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.asked.append(list(items))
        await self.go.wait()
        if self.fault is not None:
            raise self.fault
        return [2 * item if item >= 0 else ValueError(str(item)) for item in items]


async def test_one_at_once_and_meanwhile_all_that_come() -> None:
    doubling = Doubling()
    double = Together(doubling)
    asked = [asyncio.create_task(double(1))]
    await asyncio.sleep(0.01)
    asked += [asyncio.create_task(double(item)) for item in (2, -3, 4)]
    gone = asyncio.create_task(double(5))
    await asyncio.sleep(0.01)
    gone.cancel()
    doubling.go.set()
    one, two, three, four = await asyncio.gather(*asked, return_exceptions=True)
    assert (one, two, four) == (2, 4, 8) and isinstance(three, ValueError)
    assert doubling.asked == [[1], [2, -3, 4]]
    assert await double(6) == 12


async def test_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LARGEST", 2)
    doubling = Doubling()
    doubling.go.set()
    double = Together(doubling)
    assert await asyncio.gather(*map(double, range(5))) == [0, 2, 4, 6, 8]
    assert doubling.asked == [[0, 1], [2, 3], [4]]


async def test_a_fault_is_told_to_each_and_is_no_end() -> None:
    doubling = Doubling()
    doubling.go.set()
    doubling.fault = KeyError("x")
    double = Together(doubling)
    assert [type(one) for one in await asyncio.gather(double(1), double(2), return_exceptions=True)] == [KeyError] * 2
    doubling.fault = None
    assert await double(1) == 2
