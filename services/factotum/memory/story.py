"""What a run was for, what was planned and what happened: for an episode's text and its attributes. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from factotum.events.types import OutcomeData, StepTaken
from factotum.memory.telling import shortened, step_words

# Of the plan and of what happened, in words and in the attributes. The latter may be 32 KiB, with all else in them.
MOST_STEPS = 20
LONGEST_TEXT = 100
MAX_GOAL_CHARACTERS = 200
MAX_LESSON_CHARACTERS = 1000
MAX_PLAN_BYTES = 5_000
MAX_STEPS_BYTES = 8_000


def sentences(outcome: OutcomeData) -> Iterator[str]:
    """The plan and what happened; nothing for an outcome that tells neither."""
    if outcome.plan:
        told = [f"{step_words(step.step)} ({step.tool})" for step in outcome.plan[:MOST_STEPS]]
        yield f"Plan: {_listed(told, len(outcome.plan))}."
    if outcome.steps:
        happened = [_happened(step) for step in outcome.steps[:MOST_STEPS]]
        yield f"What happened: {_listed(happened, len(outcome.steps) + outcome.steps_left_out)}."


def attributes(outcome: OutcomeData) -> dict[str, Any]:
    """The parts that are there, `goal`, `plan`, `steps` and `lesson`, without what says nothing."""
    plan, steps = _fitting(outcome.plan, MAX_PLAN_BYTES), _fitting(outcome.steps, MAX_STEPS_BYTES)
    found: dict[str, Any] = {
        "goal": shortened(outcome.goal, MAX_GOAL_CHARACTERS),
        "plan": plan,
        "plan_left_out": len(outcome.plan) - len(plan),
        "steps": steps,
        "steps_left_out": outcome.steps_left_out + len(outcome.steps) - len(steps),
        "lesson": shortened(outcome.lesson, MAX_LESSON_CHARACTERS),
    }
    return {name: value for name, value in found.items() if value}


def _happened(step: StepTaken) -> str:
    notes = []
    if step.rounds > 1:
        notes.append(f"{step.rounds} rounds")
    if step.attempts > 1:
        notes.append(f"{step.attempts} tries")
    if step.retried:
        notes.append(f"tried again {step.retried} times")
    if step.caught:
        notes.append("caught")
    if step.branch:
        notes.append(f"to {step.branch}")
    if step.undone:
        notes.append("undone")
    if step.error and step.status == "failed":
        notes.append(step.error)
    return f"{step_words(step.step)} {step.status}" + (f" ({', '.join(notes)})" if notes else "")


def _listed(told: list[str], total: int) -> str:
    more = total - len(told)
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")


def _fitting(steps: Sequence[BaseModel], most_bytes: int) -> list[dict[str, Any]]:
    """The first of them, without what says nothing, shortened."""
    found: list[dict[str, Any]] = []
    for step in steps[:MOST_STEPS]:
        told = {
            name: shortened(value, LONGEST_TEXT) if isinstance(value, str) else value
            for name, value in step.model_dump(exclude_defaults=True).items()
        }
        most_bytes -= len(json.dumps(told, ensure_ascii=False).encode())
        if most_bytes < 0:
            break
        found.append(told)
    return found
