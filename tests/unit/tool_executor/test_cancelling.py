"""A call under way ends soon after it was asked to, and what is said of its effect is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from factotum.sdk.errors import Cancelled, NotDone, Unavailable
from factotum.tool_executor.calls import Answer
from factotum.tool_executor.errors import CallRefused
from factotum.tool_executor.ledger import State
from tests.support import tool_executor
from tests.support.tool_executor import CANCEL_GRACE_SECONDS, Bench
from tests.support.tools import TIMEOUT_SECONDS

KEY = "run:/do/0/x:0"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with tool_executor.bench(tmp_path) as made:
        yield made


async def cancelled(bench: Bench, tool: str, word: str, *, effects: int = 0) -> tuple[Answer, float]:
    """The answer of a call that was asked to end when under way with so many effects; the seconds that took."""
    loop = asyncio.get_running_loop()
    bench.world.script(word)
    call = asyncio.ensure_future(bench.call(tool))
    while not bench.world.begun or len(bench.world.effects) < effects:
        await asyncio.sleep(0.01)
    began = loop.time()
    assert bench.executor.cancel("acme", KEY)
    return await call, loop.time() - began


async def test_the_tool_is_interrupted_and_the_effect_settled_later(bench: Bench) -> None:
    answer, took = await cancelled(bench, "create", "hang", effects=1)
    assert isinstance(answer.error, Cancelled) and answer.effect_possible and not answer.error.retryable
    assert CANCEL_GRACE_SECONDS <= took < TIMEOUT_SECONDS / 2
    entry = await bench.entry()
    assert (entry.state, entry.doubt, entry.lease_until) == (State.STARTED, True, None)
    settled = await bench.settle("create")
    assert settled.output_json == '{"id":"acme-0","name":"ada"}'
    assert len(bench.world.effects) == 1


async def test_an_interruption_before_the_effect(bench: Bench) -> None:
    answer, _ = await cancelled(bench, "create", "stall")
    assert isinstance(answer.error, Cancelled) and answer.effect_possible
    assert isinstance((await bench.settle("create")).error, NotDone)
    assert bench.world.effects == []


async def test_a_call_that_ends_within_the_grace_is_not_interrupted(bench: Bench) -> None:
    bench.restarted(cancel_grace_seconds=10 * TIMEOUT_SECONDS)
    answer, _ = await cancelled(bench, "create", "linger", effects=1)
    assert answer.output_json


async def test_what_has_not_begun_does_not_begin(bench: Bench) -> None:
    for tool in ("create", "send"):
        call = asyncio.ensure_future(bench.call(tool, key=tool))
        await asyncio.sleep(0)  # taken, not yet in the ledger
        assert bench.executor.cancel("acme", tool)
        answer = await call
        assert isinstance(answer.error, Cancelled) and not answer.effect_possible, tool
    assert bench.world.effects == []
    assert (await bench.entry("create")).state is State.FAILED
    assert (await bench.call("create", key="create")).output_json


async def test_where_only_a_person_could_tell_the_call_goes_to_its_end(bench: Bench) -> None:
    answer, took = await cancelled(bench, "send", "slow")
    assert answer.output_json and took > CANCEL_GRACE_SECONDS


async def test_a_request_to_settle_is_not_interrupted(bench: Bench) -> None:
    bench.world.script("lost-before", "slow")
    await bench.call("put")
    settling = asyncio.ensure_future(bench.settle("put"))
    await asyncio.sleep(0.05)
    bench.executor.cancel("acme", KEY)
    assert (await settling).output_json


async def test_a_call_whose_caller_is_gone_is_found(bench: Bench) -> None:
    bench.world.script("hang")
    caller = asyncio.ensure_future(bench.call("create"))
    while not bench.world.effects:
        await asyncio.sleep(0.01)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert bench.executor.cancel("acme", KEY)
    async with asyncio.timeout(TIMEOUT_SECONDS / 2):
        await bench.executor.drained()
    assert not bench.executor.cancel("acme", KEY)


async def test_only_this_key_of_this_tenant(bench: Bench) -> None:
    bench.world.script("slow")
    call = asyncio.ensure_future(bench.call("create"))
    await asyncio.sleep(0.05)
    assert not bench.executor.cancel("globex", KEY)
    assert not bench.executor.cancel("acme", "another")
    assert (await call).output_json
    for tenant, key in (("", KEY), ("acme", ""), ("acme", "x" * 513)):
        with pytest.raises(CallRefused):
            bench.executor.cancel(tenant, key)


async def test_a_tool_knows_what_its_interruption_leaves(bench: Bench) -> None:
    answer, _ = await cancelled(bench, "put", "tidy")
    assert isinstance(answer.error, Cancelled) and not answer.effect_possible
    assert (await bench.entry()).state is State.FAILED
    bench.world.script("tidy")  # and where it is its time limit that interrupts it
    late = (await bench.call("put", key="late")).error
    assert isinstance(late, Unavailable) and "1 s" in late.message and not late.effect_possible
