"""What became of an effect, asked without making a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from factotum.tool_executor.ledger import State
from tests.support.ledgers import Open
from tests.support.tool_executor import LEASE_SECONDS, Bench, bench

EFFECTS = ["create", "send", "put"]


@pytest.fixture
async def b(tmp_path: Path, opened: Open) -> AsyncIterator[Bench]:
    async with bench(tmp_path, opened) as made:
        yield made


async def kind(b: Bench, tool: str) -> tuple[str, bool, bool]:
    """Of the error: its kind, whether a retry helps, whether the effect is possible."""
    answer = await b.settle(tool)
    assert answer.error is not None
    return answer.error.kind, answer.error.retryable, answer.effect_possible


NOT_DONE = ("not_done", False, False)
LATER = ("unavailable", True, True)
A_PERSON = ("ambiguous", True, True)


@pytest.mark.parametrize("tool", EFFECTS)
async def test_what_was_never_begun(b: Bench, tool: str) -> None:
    assert await kind(b, tool) == NOT_DONE
    assert await b.ledger.entry("acme", "run:/do/0/x:0") is None
    assert not b.world.effects and not await b.events()


async def test_a_read(b: Bench) -> None:
    b.world.script("refuse")
    assert await kind(b, "read") == NOT_DONE
    assert b.world.next("calls") == "refuse", "it was read"
    assert not await b.events()


@pytest.mark.parametrize("tool", EFFECTS)
async def test_what_certainly_failed(b: Bench, tool: str) -> None:
    b.world.script("refuse")
    await b.call(tool)
    row = await b.entry()
    assert await kind(b, tool) == NOT_DONE
    assert await b.entry() == row and not b.world.effects


@pytest.mark.parametrize("tool", EFFECTS)
async def test_what_is_done(b: Bench, tool: str) -> None:
    first = await b.call(tool)
    answer = await b.settle(tool)
    assert (answer.output_json, answer.replayed) == (first.output_json, True)
    assert len(b.world.effects) == 1


@pytest.mark.parametrize("tool", EFFECTS)
async def test_what_is_under_way(b: Bench, tool: str) -> None:
    b.world.script("slow")
    slow = asyncio.ensure_future(b.call(tool))
    await b.begun()
    assert await kind(b, tool) == LATER
    await slow


async def test_a_key_of_other_arguments(b: Bench) -> None:
    await b.call("create")
    answer = await b.settle("create", name="bob")
    assert answer.error is not None and answer.error.kind == "invalid_argument" and answer.effect_possible


async def test_the_system_has_it(b: Bench) -> None:
    b.world.script("lost")
    await b.call("create")
    answer = await b.settle("create")
    assert answer.output_json == '{"id":"acme-0","name":"ada"}'
    assert (await b.entry()).state is State.DONE and len(b.world.effects) == 1
    assert len(await b.events()) == 2, "that it was found is told"


async def test_the_system_has_it_not(b: Bench) -> None:
    b.world.script("lost-before")
    await b.call("create")
    assert await kind(b, "create") == NOT_DONE
    assert (await b.entry()).state is State.FAILED and not b.world.effects
    assert len(await b.events()) == 1, "a question that found nothing is no news"


async def test_the_system_has_it_later(b: Bench) -> None:
    b.world.script("late")
    await b.call("create")
    assert await kind(b, "create") == NOT_DONE
    b.world.land()
    assert (await b.settle("create")).output_json and len(b.world.effects) == 1


@pytest.mark.parametrize("asked", ["away", "refused", "raise"])
async def test_the_system_cannot_be_asked_now(b: Bench, asked: str) -> None:
    b.world.script("lost", asked=(asked,))
    await b.call("create")
    assert await kind(b, "create") == LATER
    assert (await b.settle("create")).error is None


async def test_the_system_can_never_be_asked(b: Bench) -> None:
    b.world.script("lost", asked=("ambiguous",))
    await b.call("create")
    assert await kind(b, "create") == A_PERSON
    assert await kind(b, "create") == A_PERSON


async def test_nobody_can_be_asked(b: Bench) -> None:
    b.world.script("die")
    with pytest.raises(asyncio.CancelledError):
        await b.call("send")
    b.restarted()
    b.ahead = timedelta(seconds=LEASE_SECONDS)
    assert await kind(b, "send") == A_PERSON
    await b.resolver.resolve("acme", "run:/do/0/x:0", happened=False, output_json="", reason="")
    assert await kind(b, "send") == NOT_DONE
    assert len(b.world.effects) == 1


async def test_what_may_be_repeated_is_repeated(b: Bench) -> None:
    b.world.script("lost")
    await b.call("put")
    assert (await b.settle("put")).error is None
    assert (await b.entry()).state is State.DONE
    assert (await b.settle("put")).replayed


@pytest.mark.parametrize(
    ("tool", "refusal", "answer"),
    [
        ("put", "gone", A_PERSON),  # it may have been there
        ("put", "invalid", NOT_DONE),
        ("drop", "gone", A_PERSON),  # gone by this very call, maybe
        ("put", "refuse", A_PERSON),
        ("put", "fail-before", A_PERSON),
        ("put", "raise-before", A_PERSON),
        ("put", "bar", LATER),
        ("put", "away", LATER),
        ("put", "limit", LATER),
        ("put", "lost-before", LATER),
    ],
)
async def test_a_repetition_that_is_refused(b: Bench, tool: str, refusal: str, answer: tuple[str, bool, bool]) -> None:
    b.world.script("lost", refusal)
    await b.call(tool)
    assert await kind(b, tool) == answer
    state = {NOT_DONE: State.FAILED, LATER: State.STARTED, A_PERSON: State.AMBIGUOUS}[answer]
    assert (await b.entry()).state is state


async def test_a_system_that_is_not_set_any_more(b: Bench) -> None:
    b.world.script("lost")
    await b.call("create")
    b.restarted(b.configured())
    assert await kind(b, "create") == LATER
    b.restarted(b.configured("acme"))
    done = await b.settle("create")
    b.restarted(b.configured())
    assert (await b.settle("create")).output_json == done.output_json
