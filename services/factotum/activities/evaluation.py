"""The activity that evaluates an expression which is not shown to be cheap."""

from __future__ import annotations

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from factotum.bounded.evaluator import BoundedEvaluator, Busy
from factotum.procedures.program import ExpressionError
from factotum.workflows.contract import EVALUATE, EXPRESSION_FAILED, Evaluation

# Type of the error that says that every process of the worker was evaluating for so long.
BUSY = "busy"
PATIENCE_SECONDS = 60.0


class Evaluations:
    """Evaluates within a bound; made to be a local activity, so that its result is in the history."""

    def __init__(self, evaluator: BoundedEvaluator, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._evaluator = evaluator
        self._patience = patience_seconds

    @activity.defn(name=EVALUATE)
    async def evaluate(self, evaluation: Evaluation) -> Any:
        """The first result of the program, null if there is none.

        Raises an `ApplicationError` of the type `expression`, never retried: the same program on the
        same value fails the same way. One of the type `busy`, to be retried, while others' expressions take
        all there is: that is nothing this one has done.
        """
        try:
            return await self._evaluator.evaluate(
                evaluation.program, evaluation.value, evaluation.arguments, patience_seconds=self._patience
            )
        except ExpressionError as error:
            raise ApplicationError(str(error), type=EXPRESSION_FAILED, non_retryable=True) from error
        except Busy as error:
            raise ApplicationError(str(error), type=BUSY) from error
