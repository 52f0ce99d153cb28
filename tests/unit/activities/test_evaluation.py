"""The activity that evaluates an expression."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from factotum.activities.evaluation import Evaluations
from factotum.bounded.evaluator import BoundedEvaluator
from factotum.workflows.contract import Evaluation


async def test_gives_the_result_or_an_error_that_is_not_retried() -> None:
    async with BoundedEvaluator(seconds=0.5) as evaluator:
        evaluate = Evaluations(evaluator).evaluate
        run = ActivityEnvironment().run

        assert await run(evaluate, Evaluation(program="[range($n)]", arguments={"n": 2})) == [0, 1]

        for program, message in ((".a", "Cannot index number"), ("[range(1e12) | select(false)]", "did not end")):
            with pytest.raises(ApplicationError, match=message) as caught:
                await run(evaluate, Evaluation(program=program, value=1))
            assert caught.value.type == "expression"
            assert caught.value.non_retryable


SLOW = Evaluation(program="[range(1e12) | select(false)]", value=1)
QUICK = Evaluation(program="1 + 1", value=None)


async def test_a_quick_one_behind_slow_ones_of_others_waits_and_succeeds() -> None:
    async with BoundedEvaluator(processes=2, seconds=0.2) as evaluator:
        evaluate, run = Evaluations(evaluator).evaluate, ActivityEnvironment().run
        slow = [asyncio.ensure_future(run(evaluate, SLOW)) for _ in range(20)]
        await asyncio.sleep(0)
        assert await run(evaluate, QUICK) == 2
        await asyncio.wait(slow)
        assert {each.exception().type for each in slow} == {"expression"}


async def test_a_wait_that_is_too_long_says_nothing_of_the_expression() -> None:
    async with BoundedEvaluator(processes=1, seconds=0.5) as evaluator:
        evaluate, run = Evaluations(evaluator, patience_seconds=0.1).evaluate, ActivityEnvironment().run
        slow = asyncio.ensure_future(run(evaluate, SLOW))
        await asyncio.sleep(0.05)
        with pytest.raises(ApplicationError, match="no process was free") as caught:
            await run(evaluate, QUICK)
        assert (caught.value.type, caught.value.non_retryable) == ("busy", False)
        await asyncio.wait([slow])
        assert await run(evaluate, QUICK) == 2
