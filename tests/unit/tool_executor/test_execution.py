"""What becomes of one key, whatever the tool, the system and the process do."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from factotum.tool_executor.calls import Origin
from factotum.tool_executor.errors import CallRefused, UnknownTool, retry_after
from factotum.tool_executor.ledger import State
from tests.support import tools
from tests.support.tool_executor import AMBIGUOUS_RETRY_SECONDS, LEASE_SECONDS, Bench, bench

EFFECTS = ["create", "send", "put"]


@pytest.fixture
async def b(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


@pytest.mark.parametrize("tool", EFFECTS)
async def test_done_is_replayed_byte_for_byte(b: Bench, tool: str) -> None:
    first = await b.call(tool)
    again = await b.call(tool)
    assert (first.error, first.replayed, again.replayed) == (None, False, True)
    assert again.output_json == first.output_json
    assert (again.started_at, again.ended_at) == (first.started_at, first.ended_at)
    assert len(b.world.effects) == 1
    assert (await b.entry()).state is State.DONE


async def test_a_key_belongs_to_one_tool_and_one_set_of_arguments(b: Bench) -> None:
    await b.call("create")
    for answer in (await b.call("create", name="bob"), await b.call("send")):
        assert answer.error is not None and answer.error.kind == "invalid_argument"
        assert "used before" in answer.error.message
    assert len(b.world.effects) == 1


async def test_a_key_under_which_nothing_was_done_takes_other_arguments(b: Bench) -> None:
    b.world.script("refuse")
    assert (await b.call("create")).error is not None
    before = await b.entry()
    answer = await b.call("create", name="bob")
    assert answer.error is None and [effect["name"] for effect in b.world.effects] == ["bob"]
    after = await b.entry()
    assert after.state is State.DONE and after.arguments_sha256 != before.arguments_sha256
    earlier = await b.call("create")
    assert earlier.error is not None and "used before" in earlier.error.message
    assert (await b.call("create", name="bob")).replayed


@pytest.mark.parametrize("word", ["lost-before", "fail-before", "ambiguous", "die"])
async def test_a_key_in_doubt_keeps_its_arguments(b: Bench, word: str) -> None:
    b.world.script(word)
    with contextlib.suppress(asyncio.CancelledError):
        await b.call("create")
    effects = len(b.world.effects)
    answer = await b.call("create", name="bob")
    assert answer.error is not None and answer.error.kind == "invalid_argument" and answer.effect_possible
    assert len(b.world.effects) == effects


async def test_a_failed_key_does_not_change_its_tool(b: Bench) -> None:
    b.world.script("refuse")
    await b.call("create")
    answer = await b.call("send")
    assert answer.error is not None and "used before" in answer.error.message


@pytest.mark.parametrize(("wanted", "taken"), [("", True), ("1.7.3", True), ("2.0.0", False), ("0.9.0", False)])
async def test_a_plan_for_another_major_version_is_refused(b: Bench, wanted: str, taken: bool) -> None:
    asked = b.executor.execute(
        tenant="acme",
        tool="fake.create",
        arguments_json='{"name": "ada"}',
        key="k",
        origin=Origin(),
        version=wanted,
    )
    if taken:
        assert (await asked).error is None
    else:
        with pytest.raises(CallRefused, match="plan it anew"):
            await asked
    assert len(b.world.effects) == taken


async def test_tenants_do_not_share_keys(b: Bench) -> None:
    first, second = await b.call("create"), await b.call("create", tenant="globex")
    assert not second.replayed and first.output_json != second.output_json
    assert len(b.world.effects) == 2


@pytest.mark.parametrize("tool", EFFECTS)
async def test_twenty_at_once_act_once(b: Bench, tool: str) -> None:
    b.world.script("slow")
    answers = await asyncio.gather(*(b.call(tool) for _ in range(20)))
    assert len(b.world.effects) == 1
    assert [answer.error for answer in answers].count(None) == 1
    for answer in answers:
        if answer.error is not None:
            assert answer.error.kind == "unavailable" and answer.error.retryable
            assert 0 < retry_after(answer.error) <= LEASE_SECONDS


@pytest.mark.parametrize("tool", EFFECTS)
async def test_a_long_call_keeps_its_lease(b: Bench, tool: str) -> None:
    b.world.script("slow", "slow", "slow")
    b.ahead = timedelta(0)
    call = asyncio.ensure_future(b.call(tool))
    await asyncio.sleep(0.1)
    before = (await b.entry()).lease_until
    await asyncio.sleep(LEASE_SECONDS * 0.3)
    # Renewed by then, and committed as soon as the disk has it.
    async with asyncio.timeout(LEASE_SECONDS):
        while (after := (await b.entry()).lease_until) == before:
            await asyncio.sleep(0.01)
    await call
    assert before is not None and after is not None and after > before
    assert (await b.entry()).lease_until is None


@pytest.mark.parametrize("word", ["refuse", "away", "limit"])
@pytest.mark.parametrize("tool", EFFECTS)
async def test_certainly_no_effect_starts_afresh(b: Bench, tool: str, word: str) -> None:
    b.world.script(word)
    assert (await b.call(tool)).error is not None
    entry = await b.entry()
    assert (entry.state, entry.attempts, entry.lease_until) == (State.FAILED, 1, None)
    assert (await b.call(tool)).error is None
    assert len(b.world.effects) == 1
    assert (await b.entry()).attempts == 2


async def test_the_systems_wait_is_passed_on(b: Bench) -> None:
    b.world.script("limit")
    error = (await b.call("create")).error
    assert error is not None and error.retryable and retry_after(error) == 7.0


@pytest.mark.parametrize("word", ["lost", "hang"])
async def test_lost_answer_is_found_by_asking(b: Bench, word: str) -> None:
    b.world.script(word)
    error = (await b.call("create")).error
    assert error is not None and (error.kind, error.retryable) == ("unavailable", True)
    assert ((await b.entry()).state, (await b.entry()).lease_until) == (State.STARTED, None)
    again = await b.call("create")
    assert again.error is None and not again.replayed
    assert (await b.call("create")).output_json == again.output_json
    assert len(b.world.effects) == 1
    assert (await b.entry()).reconciled


async def test_lost_call_is_made_again_after_asking(b: Bench) -> None:
    b.world.script("lost-before")
    assert (await b.call("create")).error is not None
    assert (await b.call("create")).error is None
    assert len(b.world.effects) == 1
    assert not (await b.entry()).reconciled


async def test_native_acts_again(b: Bench) -> None:
    b.world.script("lost")
    assert (await b.call("put")).error is not None
    assert (await b.call("put")).error is None
    assert len(b.world.effects) == 2


@pytest.mark.parametrize("word", ["lost", "hang", "raise", "fail", "bad-output"])
async def test_where_nobody_can_be_asked_a_person_decides(b: Bench, word: str) -> None:
    b.world.script(word)
    for _ in range(3):
        error = (await b.call("send")).error
        assert error is not None and (error.kind, error.retryable) == ("ambiguous", True)
        assert retry_after(error) == AMBIGUOUS_RETRY_SECONDS
        assert "factotum effects resolve run:/do/0/x:0 --happened|--did-not" in error.message
    assert len(b.world.effects) == 1
    assert len(await b.events()) == 1  # polling is not an observation


@pytest.mark.parametrize("word", ["raise", "fail", "bad-output"])
async def test_a_final_error_with_an_effect_is_never_reported_as_failure(b: Bench, word: str) -> None:
    b.world.script(word)
    answer = await b.call("create")
    assert answer.error is None and answer.output_json == '{"id":"acme-0","name":"ada"}'
    assert (await b.entry()).reconciled


@pytest.mark.parametrize("word", ["raise-before", "fail-before"])
async def test_a_final_error_without_effect_is_the_answer(b: Bench, word: str) -> None:
    b.world.script(word)
    error = (await b.call("create")).error
    assert error is not None and (error.kind, error.retryable) == ("failed", False)
    assert tools.SECRET not in error.message
    assert (await b.entry()).state is State.FAILED and not b.world.effects


@pytest.mark.parametrize("asked", ["away", "refused", "raise"])
async def test_what_cannot_be_asked_now_is_asked_again(b: Bench, asked: str) -> None:
    b.world.script("fail", asked=(asked, asked))
    for _ in range(2):
        error = (await b.call("create")).error
        assert error is not None and (error.kind, error.retryable) == ("unavailable", True)
        assert tools.SECRET not in error.message
        assert (await b.entry()).state is State.STARTED
    assert (await b.call("create")).error is None
    assert len(b.world.effects) == 1


async def test_what_can_never_be_asked_is_ambiguous(b: Bench) -> None:
    b.world.script("lost", asked=("ambiguous",))
    assert (await b.call("create")).error is not None
    error = (await b.call("create")).error
    assert error is not None and error.kind == "ambiguous" and "there is no archive" in error.message
    assert (await b.entry()).state is State.AMBIGUOUS


async def test_a_tool_that_cannot_tell_is_ambiguous_at_once(b: Bench) -> None:
    b.world.script("ambiguous")
    error = (await b.call("create")).error
    assert error is not None and error.kind == "ambiguous" and "effects resolve" in error.message
    assert (await b.entry()).state is State.AMBIGUOUS


async def test_resolved_as_happened_is_done(b: Bench) -> None:
    b.world.script("lost")
    await b.call("send")
    await b.ledger.resolve("acme", "run:/do/0/x:0", output_json='{"id": "9"}', reason="seen", now=b.now())
    answer = await b.call("send")
    assert (answer.output_json, answer.replayed) == ('{"id": "9"}', True)
    assert len(b.world.effects) == 1
    assert (await b.entry()).reason == "seen"


async def test_resolved_as_not_happened_acts_again(b: Bench) -> None:
    b.world.script("lost")
    await b.call("send")
    await b.ledger.resolve("acme", "run:/do/0/x:0", output_json=None, reason="", now=b.now())
    assert (await b.call("send")).error is None
    assert len(b.world.effects) == 2
    assert (await b.entry()).attempts == 2


@pytest.mark.parametrize(("tool", "effects"), [("create", 1), ("put", 2), ("send", 1)])
async def test_a_killed_attempt_holds_its_key_for_one_lease(b: Bench, tool: str, effects: int) -> None:
    b.world.script("hang")
    killed = asyncio.ensure_future(b.call(tool))
    await asyncio.sleep(0.2)
    assert b.world.effects
    # The attempt dies as with its process: nothing of it, its renewal neither, runs any more.
    for attempt in b.executor._ledgered._attempts:
        attempt.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    b.restarted()
    error = (await b.call(tool)).error
    assert error is not None and error.kind == "unavailable" and "under way" in error.message
    b.ahead = timedelta(seconds=LEASE_SECONDS)
    answer = await b.call(tool)
    assert len(b.world.effects) == effects
    assert (answer.error and answer.error.kind) == ("ambiguous" if tool == "send" else None)


async def test_the_entry_is_there_before_the_tool_runs(b: Bench) -> None:
    b.world.script("slow")
    call = asyncio.ensure_future(b.call("create"))
    await asyncio.sleep(0.1)
    entry = await b.entry()
    assert entry.state is State.STARTED and entry.lease_until is not None and not b.world.effects
    assert (entry.origin.run_id, entry.tool_version) == ("run", "1.0.0")
    await call


@pytest.mark.parametrize("tool", EFFECTS)
async def test_a_cancelled_caller_leaves_a_settled_entry(b: Bench, tool: str) -> None:
    b.world.script("slow")
    call = asyncio.ensure_future(b.call(tool))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await b.executor.drained()
    assert (await b.entry()).state is State.DONE
    assert (await b.call(tool)).replayed and len(b.world.effects) == 1


async def test_an_attempt_of_this_process_counts_whatever_the_lease_says(b: Bench) -> None:
    b.world.script("slow")
    slow = asyncio.ensure_future(b.call("put"))
    await asyncio.sleep(0.1)
    b.ahead = timedelta(minutes=1)  # as after an event loop that was blocked
    error = (await b.call("put")).error
    assert error is not None and "under way" in error.message
    assert (await slow).error is None and len(b.world.effects) == 1


async def test_an_attempt_that_lost_its_lease_writes_nothing(b: Bench) -> None:
    b.world.script("slow")
    slow = asyncio.ensure_future(b.call("put"))
    await asyncio.sleep(0.1)
    b.ahead = timedelta(minutes=1)
    b.restarted()  # as another process would see it
    assert (await b.call("put")).error is None
    row = await b.entry()
    error = (await slow).error
    assert error is not None and error.retryable
    assert await b.entry() == row


async def test_faulty_arguments_name_the_place_and_not_the_value(b: Bench) -> None:
    for arguments, pointer in [
        ({"name": "ada", "token": 7, "pass/word": tools.SECRET}, "/pass~1word"),
        ({"name": tools.SECRET + "!"}, "/name"),
        ({}, "/name"),
    ]:
        error = (
            await b.executor.execute(
                tenant="acme", tool="fake.create", arguments_json=json.dumps(arguments), key="k", origin=Origin()
            )
        ).error
        assert error is not None and error.kind == "invalid_argument" and pointer in error.message
        assert tools.SECRET not in error.message
    assert await b.ledger.entry("acme", "k") is None and not b.world.effects


@pytest.mark.parametrize("text", ["", "{", "[]", '"\\ud800"', "[" * 5000, '{"name": NaN}', "null"])
async def test_arguments_that_are_no_json_object(b: Bench, text: str) -> None:
    answer = await b.executor.execute(tenant="acme", tool="fake.create", arguments_json=text, key="k", origin=Origin())
    assert answer.error is not None and answer.error.kind == "invalid_argument"
    assert len(await b.events()) == 1


async def test_a_tenant_without_the_system(b: Bench) -> None:
    error = (await b.call("create", tenant="initech")).error
    assert error is not None and error.kind == "not_permitted"
    assert "tenants.initech.fake" in error.message


async def test_a_secret_that_is_missing_and_one_that_is_there(b: Bench) -> None:
    error = (await b.call("login")).error
    assert error is not None and error.kind == "not_permitted" and "fake-token" in error.message
    (b.folder / "secrets/acme").mkdir(parents=True)
    (b.folder / "secrets/acme/fake-token").write_text(f"{tools.SECRET}\n")
    assert (await b.call("login")).output_json == '{"id":"7","name":"ada"}'


async def test_reads_need_no_key_and_leave_no_entry(b: Bench) -> None:
    assert (await b.call("read", "")).error is None
    assert await b.ledger.entries("acme", states=[], limit=10, run_id="") == []
    b.world.script("raise-before")
    error = (await b.call("read", "")).error
    assert error is not None and error.kind == "failed"


async def test_calls_that_cannot_be_taken(b: Bench) -> None:
    with pytest.raises(CallRefused, match="idempotency_key"):
        await b.call("create", "")
    with pytest.raises(CallRefused, match="512"):
        await b.call("create", "k" * 513)
    with pytest.raises(CallRefused, match="control"):
        await b.call("create", "k\n")
    with pytest.raises(CallRefused, match="tenant"):
        await b.call("create", tenant="acme\n")
    with pytest.raises(UnknownTool):
        await b.call("destroy")
    with pytest.raises(CallRefused, match=r"origin\.step"):
        await b.executor.execute(
            tenant="acme", tool="fake.read", arguments_json="{}", key="", origin=Origin(step="s" * 1025)
        )
    assert not b.world.effects and not await b.events()


async def test_a_systems_unreadable_words_are_made_readable(b: Bench) -> None:
    b.world.script("surrogate")
    error = (await b.call("create")).error
    assert error is not None and error.message.startswith("the system says: ?") and len(error.message) < 5000
