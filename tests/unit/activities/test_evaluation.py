"""The activity that evaluates an expression."""

from __future__ import annotations

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
