"""An attempt that is not certain of its lease any more does nothing further: another executor may be at its key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from factotum.sdk.errors import Unavailable
from factotum.tool_executor.alarms import Alarms
from factotum.tool_executor.calls import Answer
from factotum.tool_executor.errors import LedgerUnavailable
from factotum.tool_executor.lease import Lease
from factotum.tool_executor.ledger import State
from tests.support import tools
from tests.support.composition import executor_of
from tests.support.ledgers import Open
from tests.support.tool_executor import Bench, bench

# Shorter than a slow call, longer than what lies between two lines of a test.
LEASE_SECONDS = 0.2


@pytest.fixture
async def b(tmp_path: Path, opened: Open) -> AsyncIterator[Bench]:
    async with bench(tmp_path, opened) as made:
        yield short(made)


@pytest.fixture
async def other(tmp_path: Path, b: Bench, opened: Open) -> AsyncIterator[Bench]:
    """Another executor on the same ledger and the same system."""
    async with bench(tmp_path, opened) as made:
        yield short(made)


def short(made: Bench) -> Bench:
    made.executor = executor_of(made.catalog, made.ledger, secrets=made.secrets, lease_seconds=LEASE_SECONDS)
    return made


async def away(*_: Any, **__: Any) -> bool:
    raise LedgerUnavailable("it does not answer this executor")


async def taken(*_: Any, **__: Any) -> bool:
    return False


async def silent(*_: Any, **__: Any) -> bool:
    await asyncio.sleep(60)
    return True


def told(answer: Answer) -> tuple[str, bool, bool]:
    assert answer.error is not None
    return answer.error.kind, answer.error.retryable, answer.effect_possible


@pytest.mark.parametrize(
    ("tool", "renew"), [("create", away), ("create", taken), ("create", silent), ("put", away), ("send", away)]
)
async def test_an_attempt_ends_before_another_executor_may_act(
    b: Bench, other: Bench, tool: str, renew: Callable[..., Awaitable[bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    b.world.script("slow")
    monkeypatch.setattr(b.ledger, "renew", renew)
    first = asyncio.ensure_future(b.call(tool))
    await b.begun()
    while (second := await other.call(tool)).error is not None and second.error.kind == "unavailable":
        await asyncio.sleep(0.01)
    assert told(await first) == ("unavailable", True, True)
    await asyncio.sleep(0.12)  # what was slow would have had its effect by now
    if tool == "send":  # nobody can be asked whether the first was
        assert told(second) == ("ambiguous", True, True) and not b.world.effects
    else:
        assert second.output_json and len(b.world.effects) == 1
        assert (await b.call(tool)).output_json == second.output_json


async def test_what_a_tool_says_of_its_end_is_no_cancellation(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    b.world.script("tidy")
    monkeypatch.setattr(b.ledger, "renew", away)
    assert told(await b.call("create")) == ("unavailable", True, False)
    assert (await b.entry()).state is State.FAILED
    assert (await b.call("create")).output_json and len(b.world.effects) == 1


@pytest.mark.parametrize("tool", ["create", "put", "send"])
async def test_nothing_is_begun_under_a_lease_that_may_be_over(
    b: Bench, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = b.ledger.claim

    async def late(wanted: Any) -> Any:
        granted = await claim(wanted)
        await asyncio.sleep(LEASE_SECONDS)
        return granted

    monkeypatch.setattr(b.ledger, "claim", late)
    assert told(await b.call(tool)) == ("unavailable", True, False)
    assert not b.world.effects and (await b.entry()).state is State.FAILED


async def test_nothing_is_begun_after_a_question_that_took_too_long(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    b.world.script("lost-before")
    await b.call("create")
    words = tools.World.next

    def stopped(world: tools.World, which: str) -> str:
        if which == "asked":
            time.sleep(LEASE_SECONDS)  # as a process that is suspended: no timer is heard of it in time
        return words(world, which)

    monkeypatch.setattr(tools.World, "next", stopped)
    assert told(await b.call("create")) == ("unavailable", True, True)
    assert not b.world.effects and (await b.entry()).doubt


async def test_a_lease_that_is_renewed_in_time_is_kept() -> None:
    answers: list[bool | None] = [None, True, None, True]

    async def renew() -> bool:
        answer = answers.pop(0) if answers else True
        if answer is None:
            raise LedgerUnavailable("once")
        return answer

    async def work() -> str:
        await asyncio.sleep(0.5)
        return "done"

    lease = Lease(renew, seconds=0.3, asked_at=asyncio.get_running_loop().time(), alarms=Alarms())
    assert await lease.within(work()) == "done" and not lease.lost
    assert not answers


async def test_a_time_limit_of_the_work_is_not_taken_for_the_leases() -> None:
    async def work() -> str:
        raise TimeoutError("its own")

    lease = Lease(taken, seconds=5, asked_at=asyncio.get_running_loop().time(), alarms=Alarms())
    with pytest.raises(TimeoutError, match="its own"):
        await lease.within(work())


async def test_a_lost_lease_says_whether_anything_was_done() -> None:
    lease = Lease(taken, seconds=0.1, asked_at=asyncio.get_running_loop().time(), alarms=Alarms())
    with pytest.raises(Unavailable) as ended:
        await lease.within(asyncio.sleep(5))
    assert ended.value.effect_possible and lease.lost
    with pytest.raises(Unavailable) as refused:
        lease.check()
    assert not refused.value.effect_possible
