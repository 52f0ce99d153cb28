"""How what a run did is undone: step by step, the latest first; what cannot be is left to a person."""

from __future__ import annotations

from collections.abc import Callable

from factotum.workflows.compensation import Done, Doubt
from factotum.workflows.contract import Ending, PersonTask
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem
from factotum.workflows.step import Step

# The idempotency key of a step.
Key = Callable[[Step], str]


async def undo_something(interpreter: Interpreter, ending: Ending, key: Key) -> Ending | None:
    """Settles the next doubt, or else undoes the latest step that is not undone; None if nothing is left.

    What cannot be found out or undone is a person's task, with all that it takes to do it by hand.
    """
    journal = interpreter.journal
    for doubt in journal.doubts():
        try:
            await interpreter.settle(doubt)
        except Problem as error:
            journal.ended(doubt.step)
            return _left(ending, f"may stand: {error}", _to_find_out(doubt, error, key))
        return ending
    for done in journal.backwards():
        journal.undone(done)
        try:
            await interpreter.undo(done)
        except Problem as error:
            return _left(ending, f"not undone: {error}", _to_undo(done, error, key))
        return ending.model_copy(update={"compensated": [*ending.compensated, done.step.pointer]})
    return None


def _left(ending: Ending, failure: str, task: PersonTask) -> Ending:
    return ending.model_copy(update={"failures": [*ending.failures, failure], "tasks": [*ending.tasks, task]})


def _to_find_out(doubt: Doubt, error: Problem, key: Key) -> PersonTask:
    return PersonTask(
        kind="find out",
        step=doubt.step.pointer,
        iteration=doubt.step.iteration,
        tool=doubt.step.tool,
        arguments=doubt.step.arguments,
        idempotency_key=key(doubt.step),
        error=str(error),
    )


def _to_undo(done: Done, error: Problem, key: Key) -> PersonTask:
    return PersonTask(
        kind="undo",
        step=done.step.pointer,
        iteration=done.step.iteration,
        tool=done.tool,
        arguments=done.arguments,
        idempotency_key=f"{key(done.step)}:undo",
        error=str(error),
    )
