"""What a run teaches: only what its data bears."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from factotum.activities.lesson import LONGEST_REASON, lesson
from factotum.events.types import LeftToPeople, OutcomeData, StepTaken

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ACCOUNT = "/do/0/createAccount"


def of(*steps: StepTaken, **changes: Any) -> str:
    given: dict[str, Any] = {
        "run_id": "r",
        "procedure": "t/p",
        "procedure_version": "1.0.0",
        "status": "completed",
        "steps": list(steps),
        "started_at": NOW,
        "ended_at": NOW,
    }
    return lesson(OutcomeData(**(given | changes)))


def call(**changes: Any) -> StepTaken:
    return StepTaken(
        **({"step": ACCOUNT, "kind": "call", "status": "completed", "rounds": 1, "seconds": 40.0} | changes)
    )


def a_try(**changes: Any) -> StepTaken:
    return StepTaken(
        **({"step": "/do/0/safely", "kind": "try", "status": "completed", "rounds": 1, "seconds": 4.2} | changes)
    )


def test_what_went_as_planned_teaches_nothing() -> None:
    assert of() == of(call(), a_try()) == ""


def test_what_needed_several_tries() -> None:
    assert of(call(attempts=3, error="unavailable")) == (
        "Create account worked on try 3 after 40 s (before: unavailable)."
    )
    # Of rounds of a loop the time and the cause are not one call's.
    assert of(call(attempts=3, rounds=2)) == "Create account worked on try 3."
    assert of(call(attempts=3, status="failed")) == "Create account was tried 3 times after 40 s and did not work."
    assert of(call(attempts=3, status="cancelled")) == ""


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (
            a_try(retried=2, error="unavailable", at=ACCOUNT),
            "Safely met unavailable at create account and worked after 2 more tries after 4 s.",
        ),
        (a_try(retried=2, status="failed", error="unavailable", at=ACCOUNT), ""),
        (
            a_try(caught=1, retried=2, error="not found", at=ACCOUNT),
            "Not found at create account was caught by safely, and its catch took over.",
        ),
    ],
)
def test_what_a_try_did(step: StepTaken, told: str) -> None:
    assert of(step) == told


def test_why_a_run_failed_and_what_became_of_what_it_had_done() -> None:
    task = LeftToPeople(kind="undo", step="/do/2/sendMail", tool="mail.send", idempotency_key="k", error="away")
    assert of(
        call(status="failed"),
        status="failed",
        failure="/do/1/add_group: not found: there is no group x; not undone: /do/2/sendMail: away",
        compensated=[ACCOUNT],
        tasks=[task],
    ) == (
        "Failed at add group because not found: there is no group x; not undone: /do/2/sendMail: away."
        " Undone: create account. Left to people: undo send mail."
    )
    # A failure that names no place gets none, whichever step failed before.
    assert of(call(status="failed"), status="failed", failure="no: it was so") == "Failed because no: it was so."
    long = of(status="failed", failure="because " * 1000)
    assert len(long) < LONGEST_REASON + 40 and long.endswith("….")


def test_what_was_under_way_when_it_was_cancelled() -> None:
    assert of(call(status="cancelled"), call(step="/do/1/b"), status="cancelled") == "Cancelled during create account."


def test_which_way_it_took() -> None:
    chosen = StepTaken(step="/do/1/byCountry", kind="switch", status="completed", rounds=1, branch="inGermany")
    skipped = StepTaken(step="/do/2/c", kind="call", status="skipped")
    assert of(chosen, skipped) == "By country led to in germany. Skipped, for their condition did not hold: c."
    # Of a loop's rounds only the last one's way is known.
    assert of(chosen.model_copy(update={"rounds": 2}), skipped.model_copy(update={"rounds": 1})) == ""


def test_it_is_bounded() -> None:
    many = [call(step=f"/do/{index}/s{index}", attempts=2) for index in range(50)]
    assert of(*many).count("worked on try") == 8
    undone = of(status="cancelled", compensated=[f"/do/{index}/s{index}" for index in range(50)])
    assert undone.endswith("s9 and 40 more.")
