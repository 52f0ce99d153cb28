"""The activity that evaluates an expression which is not shown to be cheap."""

from __future__ import annotations

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from factotum.bounded.evaluator import BoundedEvaluator
from factotum.procedures.program import ExpressionError
from factotum.workflows.contract import EVALUATE, Evaluation

# The type of the `ApplicationError` for every expression that fails, is too slow or too large.
EXPRESSION = "expression"


class Evaluations:
    """Evaluates within a bound; made to be a local activity, so that its result is in the history."""

    def __init__(self, evaluator: BoundedEvaluator) -> None:
        self._evaluator = evaluator

    @activity.defn(name=EVALUATE)
    async def evaluate(self, evaluation: Evaluation) -> Any:
        """The first result of the program, null if there is none.

        Raises an `ApplicationError` of the type `expression`, never retried: the same program on the
        same value fails the same way.
        """
        try:
            return await self._evaluator.evaluate(evaluation.program, evaluation.value, evaluation.arguments)
        except ExpressionError as error:
            raise ApplicationError(str(error), type=EXPRESSION, non_retryable=True) from error
