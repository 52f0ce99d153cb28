"""The bounded evaluator: whatever an expression does, it is over in time and the next one is answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from factotum.bounded.evaluator import MEBIBYTE, BoundedEvaluator, TooLarge, TooSlow
from factotum.procedures.expressions import ExpressionError
from tests.support.jq_programs import ADVERSARIES

SECONDS = 0.4
# What starting a process may take on a busy machine, besides the time allowed.
GRACE = 5.0


@pytest.fixture(scope="module")
async def evaluator() -> AsyncIterator[BoundedEvaluator]:
    async with BoundedEvaluator(seconds=SECONDS, memory_bytes=256 * MEBIBYTE) as entered:
        yield entered


async def test_evaluates_with_arguments(evaluator: BoundedEvaluator) -> None:
    assert await evaluator.evaluate("[range($n)] | map(. * $by)", None, {"n": 3, "by": 2}) == [0, 2, 4]
    assert await evaluator.evaluate("empty", None, {}) is None
    assert await evaluator.evaluate(".[]", ["é\x00", 1], {}) == "é\x00"


async def test_an_error_of_the_program_is_told(evaluator: BoundedEvaluator) -> None:
    with pytest.raises(ExpressionError, match="Cannot index number"):
        await evaluator.evaluate(".a", 1, {})
    with pytest.raises(ExpressionError, match=r"\$x is not available here"):
        await evaluator.evaluate("$x", 1, {})
    with pytest.raises(ExpressionError, match="no JSON"):
        await evaluator.evaluate(".", object(), {})


FAST = len(ADVERSARIES) // 4


@pytest.mark.parametrize(
    ("program", "value"),
    [*ADVERSARIES[:FAST], *(pytest.param(*each, marks=pytest.mark.slow) for each in ADVERSARIES[FAST:])],
)
async def test_what_would_hurt_is_over_in_time(evaluator: BoundedEvaluator, program: str, value: object) -> None:
    began = time.monotonic()
    with contextlib.suppress(ExpressionError):
        await evaluator.evaluate(program, value, {})
    assert time.monotonic() - began < SECONDS + GRACE
    assert await evaluator.evaluate(". + 1", 1, {}) == 2


async def test_too_slow_and_too_large_are_told_apart(evaluator: BoundedEvaluator) -> None:
    with pytest.raises(TooSlow, match="did not end within"):
        await evaluator.evaluate("[range(.) | range(1000) | select(false)]", 1_000_000_000, {})
    with pytest.raises(TooLarge, match="took more than 256 MiB"):
        await evaluator.evaluate('"x" * .', 1_000_000_000, {})
    with pytest.raises(TooLarge, match="its result more than 2 MiB"):
        await evaluator.evaluate('"x" * .', 3_000_000, {})


async def test_the_loop_goes_on_while_a_program_does_not_end(evaluator: BoundedEvaluator) -> None:
    endless = asyncio.ensure_future(evaluator.evaluate("[range(.)] | length", 1_000_000_000, {}))
    turns = 0
    while not endless.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert isinstance(endless.exception(), ExpressionError)
    assert turns > 10


async def test_one_that_is_given_up_is_killed(evaluator: BoundedEvaluator) -> None:
    given_up = asyncio.ensure_future(evaluator.evaluate("[range(.) | select(false)]", 1_000_000_000, {}))
    await asyncio.sleep(0.1)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert await evaluator.evaluate(".", "next", {}) == "next"


async def test_many_at_once_each_get_their_own_answer() -> None:
    async with BoundedEvaluator(processes=2) as evaluator:
        answers = await asyncio.gather(*(evaluator.evaluate("[., .]", n, {}) for n in range(50)))
    assert answers == [[n, n] for n in range(50)]


async def test_it_must_be_entered() -> None:
    with pytest.raises(RuntimeError, match="not entered"):
        await BoundedEvaluator().evaluate(".", 1, {})
