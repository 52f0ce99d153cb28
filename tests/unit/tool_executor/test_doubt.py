"""Doubt about an effect stays until somebody knows, whatever later attempts meet with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from factotum.tool_executor.calls import Origin
from factotum.tool_executor.ledger import State
from tests.support.ledgers import Open
from tests.support.tool_executor import LEASE_SECONDS, Bench, bench


@pytest.fixture
async def b(tmp_path: Path, opened: Open) -> AsyncIterator[Bench]:
    async with bench(tmp_path, opened) as made:
        yield made


async def test_a_request_that_lands_before_a_refusal_is_found(b: Bench) -> None:
    b.world.script("late", "land-refuse")
    await b.call("create")
    answer = await b.call("create")
    assert answer.error is None and len(b.world.effects) == 1
    assert (await b.entry()).state is State.DONE and not (await b.entry()).doubt


@pytest.mark.parametrize("refusal", ["refuse", "away", "limit"])
async def test_a_request_that_lands_after_a_refusal_is_found(b: Bench, refusal: str) -> None:
    b.world.script("late", refusal)
    await b.call("create")
    answer = await b.call("create")
    assert answer.error is not None and answer.effect_possible
    b.world.land()
    assert (await b.call("create")).error is None
    assert len(b.world.effects) == 1 and (await b.entry()).reconciled


@pytest.mark.parametrize("word", ["fail-before", "raise-before"])
async def test_a_final_error_that_the_system_was_asked_about_leaves_doubt(b: Bench, word: str) -> None:
    b.world.script(word)
    answer = await b.call("create")
    assert answer.error is not None and answer.error.kind == "failed" and answer.effect_possible
    entry = await b.entry()
    assert (entry.state, entry.doubt) == (State.FAILED, True)


async def test_a_refusal_in_doubt_is_asked_about_before_it_is_believed(b: Bench) -> None:
    b.world.script("lost-before", "refuse", asked=("ok", "away"))
    await b.call("create")
    answer = await b.call("create")
    assert answer.error is not None and (answer.error.kind, answer.error.retryable) == ("unavailable", True)
    assert (await b.entry()).state is State.STARTED


async def test_an_attempt_that_was_cut_off_leaves_doubt(b: Bench) -> None:
    b.world.script("die-before", "away")
    with pytest.raises(asyncio.CancelledError):
        await b.call("create")
    b.restarted()
    b.ahead = timedelta(seconds=LEASE_SECONDS)
    assert (await b.call("create")).effect_possible
    assert (await b.entry()).doubt


async def test_a_refused_repetition_says_nothing_of_what_it_repeats(b: Bench) -> None:
    b.world.script("lost", "bar")
    await b.call("put")
    answer = await b.call("put")
    assert answer.error is not None and answer.error.kind == "not_permitted" and answer.effect_possible
    assert (await b.entry()).state is State.STARTED


@pytest.mark.parametrize("tool", ["create", "send", "put"])
async def test_a_refusal_without_doubt_is_certain(b: Bench, tool: str) -> None:
    b.world.script("refuse", "away")
    for _ in range(2):
        answer = await b.call(tool)
        assert answer.error is not None and not answer.effect_possible
        assert ((await b.entry()).state, (await b.entry()).doubt) == (State.FAILED, False)


@pytest.mark.parametrize("tool", ["create", "send", "put"])
async def test_while_an_attempt_is_under_way_its_effect_is_possible(b: Bench, tool: str) -> None:
    b.world.script("slow")
    slow = asyncio.ensure_future(b.call(tool))
    await b.begun()
    answer = await b.call(tool)
    assert answer.error is not None and "under way" in answer.error.message and answer.effect_possible
    await slow


async def test_what_is_ambiguous_is_possible_each_time_it_is_said(b: Bench) -> None:
    b.world.script("lost")
    for _ in range(2):
        answer = await b.call("send")
        assert answer.error is not None and answer.error.kind == "ambiguous" and answer.effect_possible


async def test_a_read_has_no_effect(b: Bench) -> None:
    b.world.script("lost-before")
    answer = await b.call("read", "")
    assert answer.error is not None and not answer.effect_possible


@pytest.mark.parametrize(("word", "possible"), [("lost", True), ("refuse", False), ("ok", True)])
async def test_a_call_that_cannot_be_made_any_more(b: Bench, word: str, possible: bool) -> None:
    """Refused before the ledger is reached; what an earlier attempt did stands all the same."""
    b.world.script(word)
    await b.call("put")
    b.restarted(b.configured())
    answer = await b.call("put")
    assert answer.error is not None and answer.error.kind == "not_permitted"
    assert answer.effect_possible is possible


@pytest.mark.parametrize("word", ["lost", "ok"])
async def test_other_arguments_do_not_hide_the_keys_effect(b: Bench, word: str) -> None:
    b.world.script(word)
    await b.call("put")
    answer = await b.call("put", name="bob")
    assert answer.error is not None and answer.error.kind == "invalid_argument"
    assert answer.effect_possible


async def test_a_tool_learns_when_its_effect_was_first_begun(b: Bench) -> None:
    b.world.script("refuse", "lost")
    await b.call("put")
    b.ahead = timedelta(hours=1)
    await b.call("put")
    await b.call("put")
    begun = [datetime.fromisoformat(effect["begun"]) for effect in b.world.effects]
    assert begun == [(await b.entry()).started_at] * 2
    assert begun[0] < b.now() - timedelta(minutes=59)


async def test_arguments_are_kept_as_long_as_somebody_may_be_asked(b: Bench) -> None:
    b.world.script("lost")
    await b.call("send")
    assert json.loads((await b.entry()).arguments_json or "") == {"name": "ada"}
    await b.resolver.resolve("acme", "run:/do/0/x:0", happened=False, output_json="", reason="")
    assert (await b.entry()).arguments_json is None
    await b.call("send")
    assert (await b.entry()).arguments_json is None


async def test_the_word_of_a_person_ends_doubt(b: Bench) -> None:
    b.world.script("lost-before", "refuse")
    await b.call("send")
    await b.resolver.resolve("acme", "run:/do/0/x:0", happened=False, output_json="", reason="not in the log")
    assert not (await b.entry()).doubt
    answer = await b.executor.execute(
        tenant="acme", tool="fake.send", arguments_json='{"name": "ada"}', key="run:/do/0/x:0", origin=Origin()
    )
    assert answer.error is not None and answer.error.kind == "conflict" and not answer.effect_possible
