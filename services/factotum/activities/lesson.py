"""What a run teaches, told by rule from what happened in it. Pure; no language model."""

from __future__ import annotations

import re
from collections.abc import Iterator

from factotum.events.types import OutcomeData, StepTaken

# Sentences, and names in a list.
MOST_SENTENCES = 8
MOST_NAMED = 10
LONGEST_REASON = 300


def lesson(outcome: OutcomeData) -> str:
    """Sentences, each borne by the data; empty where everything went as it stands in the procedure.

    Nothing is compared with other runs, and no cause is given but the one that a step itself gave.
    """
    told = [*_ending(outcome), *_overcome(outcome), *_ways(outcome)]
    return " ".join(told[:MOST_SENTENCES])


def _ending(outcome: OutcomeData) -> Iterator[str]:
    if outcome.status == "failed":
        at, because = _place_and_reason(outcome.failure)
        yield f"Failed{f' at {name(at)}' if at else ''} because {because or 'of something that gave no reason'}."
    elif outcome.status == "cancelled":
        under_way = [name(step.step) for step in outcome.steps if step.status == "cancelled"]
        yield f"Cancelled{f' during {_listed(under_way)}' if under_way else ''}."
    if outcome.compensated:
        yield f"Undone: {_listed([name(step) for step in outcome.compensated])}."
    if outcome.tasks:
        yield f"Left to people: {_listed([f'{task.kind} {name(task.step)}' for task in outcome.tasks])}."


def _place_and_reason(failure: str) -> tuple[str, str]:
    """A problem names its place first: `/do/0/createAccount: unavailable: no route`."""
    place, _, reason = failure.partition(": ")
    if place.startswith("/") and " " not in place:
        return place, _sentence(reason)
    return "", _sentence(failure)


def _overcome(outcome: OutcomeData) -> Iterator[str]:
    for step in outcome.steps:
        called, problem = name(step.step), step.error or "a problem"
        if step.kind == "try":
            at = f" at {name(step.at)}" if step.at and step.at != step.step else ""
            if step.caught:
                yield f"{_capital(problem)}{at} was caught by {called}, and its catch took over."
            elif step.retried and step.status == "completed":
                yield f"{_capital(called)} met {problem}{at} and worked after {_counted(step.retried)}{_took(step)}."
        elif step.attempts > 1:
            # Temporal tells of the last of the failed attempts only.
            met = f" (before: {step.error})" if step.error else ""
            if step.status == "completed":
                yield f"{_capital(called)} worked on try {step.attempts}{_took(step)}{met}."
            elif step.status == "failed":
                yield f"{_capital(called)} was tried {step.attempts} times{_took(step)} and did not work."


def _ways(outcome: OutcomeData) -> Iterator[str]:
    for step in outcome.steps:
        if step.kind == "switch" and step.rounds == 1 and step.branch not in ("", "continue", "exit", "end"):
            yield f"{_capital(name(step.step))} led to {words(step.branch)}."
    skipped = [name(step.step) for step in outcome.steps if step.status == "skipped" and not step.rounds]
    if skipped:
        yield f"Skipped, for their condition did not hold: {_listed(skipped)}."


def name(pointer: str) -> str:
    """`create account` of `/do/0/createAccount`."""
    return words(pointer.rstrip("/").rpartition("/")[2]) or pointer


def words(text: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[-_:]+", " ", text)).lower().strip()


def _took(step: StepTaken) -> str:
    """Of a loop's rounds the time between the first and the last says nothing of one."""
    one_round = step.rounds == 1 or step.kind == "try"
    return f" after {step.seconds:.0f} s" if one_round and step.seconds >= 1 else ""


def _counted(retries: int) -> str:
    return "one more try" if retries == 1 else f"{retries} more tries"


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
