"""Whatever happens to a key, in whatever order: its effect is there once, and nobody is told otherwise."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from factotum.tool_executor.calls import Answer
from factotum.tool_executor.ledger import State
from tests.support.tool_executor import LEASE_SECONDS, Bench, bench

KEY = "run:/do/0/x:0"
BEFORE = ["ok", "refuse", "gone", "bar", "away", "lost-before", "fail-before", "raise-before", "die-before"]
AFTER = ["lost", "fail", "raise", "bad-output", "ambiguous", "die"]
ASKED = ["ok", "away", "refused", "raise", "ambiguous", "die"]


@dataclass(frozen=True)
class Attempt:
    """What one attempt meets with. `waits`: the lease of a dead one before it has ended; `settles`: it only
    asks what became of the earlier ones. `name`: what the call is made with."""

    call: str
    asked: str
    waits: bool
    resolves: bool
    settles: bool = False
    name: str = "ada"


attempts = st.builds(
    Attempt,
    call=st.sampled_from(BEFORE + AFTER),
    asked=st.sampled_from(ASKED),
    waits=st.booleans(),
    resolves=st.booleans(),
    settles=st.booleans(),
    name=st.sampled_from(["ada", "ada", "bob"]),
)


async def attempted(b: Bench, tool: str, attempt: Attempt) -> Answer | None:
    """None: it died, and its process with it."""
    b.world.script(attempt.call, asked=(attempt.asked,))
    if attempt.waits:
        b.ahead += timedelta(seconds=LEASE_SECONDS)
    try:
        return await b.call(tool, settle=attempt.settles, name=attempt.name)
    except asyncio.CancelledError:
        b.restarted()
        return None


async def resolve_truly(b: Bench) -> None:
    output = '{"id": "seen"}' if b.world.effects else None
    await b.ledger.resolve("acme", KEY, output_json=output, reason="looked", now=b.now())


async def ambiguous(b: Bench) -> bool:
    entry = await b.ledger.entry("acme", KEY)  # none where all that was asked is what became of it
    return entry is not None and entry.state is State.AMBIGUOUS


def of_another_call(answer: Answer) -> bool:
    """Whether it was refused because the key is another call's, whose effect there may be."""
    return answer.error is not None and "used before" in answer.error.message


async def agreed(b: Bench, tool: str) -> str:
    """What the call of this key is made with, that there may be an effect of."""
    answer = await attempted(b, tool, Attempt("away", "away", waits=True, resolves=False))
    return "bob" if answer is not None and of_another_call(answer) else "ada"


async def live(tool: str, history: list[Attempt], once: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with bench(Path(folder)) as b:
            output = None
            for attempt in history:
                before = len(b.world.effects)
                answer = await attempted(b, tool, attempt)
                effects = len(b.world.effects)
                assert effects <= 1 or not once
                assert not (attempt.settles and once and effects > before), "to settle is to do nothing new"
                if answer is None:
                    continue
                if of_another_call(answer):
                    assert effects == before and (await b.entry()).effect_possible
                    continue
                if answer.output_json is not None:
                    assert effects >= 1
                    assert output in (None, answer.output_json)
                    output = answer.output_json
                elif once and answer.error is not None and not answer.error.retryable:
                    assert effects == 0, "a run was told that it failed, and it had not"
                if answer.error is not None and not answer.effect_possible:
                    assert effects == 0, "a run was told that there is nothing to undo, and there is"
                if attempt.resolves and await ambiguous(b):
                    await resolve_truly(b)
            name = await agreed(b, tool)
            for _ in range(3):
                answer = await attempted(b, tool, Attempt("ok", "ok", waits=True, resolves=False, name=name))
                if await ambiguous(b):
                    await resolve_truly(b)
            assert answer is not None and answer.output_json is not None
            assert len(b.world.effects) == 1 or not once
            ids = [event.id for event, _ in await b.events()]
            assert len(ids) == len(set(ids))


@given(history=st.lists(attempts, max_size=6))
@settings(max_examples=50, deadline=None)
def test_where_the_system_can_be_asked(history: list[Attempt]) -> None:
    asyncio.run(live("create", history, once=True))


@given(history=st.lists(attempts, max_size=6))
@settings(max_examples=40, deadline=None)
def test_where_a_person_is_asked(history: list[Attempt]) -> None:
    asyncio.run(live("send", history, once=True))


# What is not found any more may have been there: the earlier attempt's effect is in doubt all the same.
@example(
    history=[
        Attempt("lost", "ok", waits=False, resolves=False),
        Attempt("gone", "ok", waits=True, resolves=False, settles=True),
    ]
)
@given(history=st.lists(attempts, max_size=6))
@settings(max_examples=15, deadline=None)
def test_where_doing_it_again_changes_nothing(history: list[Attempt]) -> None:
    asyncio.run(live("put", history, once=False))
