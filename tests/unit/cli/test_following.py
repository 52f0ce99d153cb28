from __future__ import annotations

from typing import Any

import pytest

from factotum.cli.errors import ExitStatus
from factotum.cli.following import changes, outcome, step_line


def _step(pointer: str, status: str, **fields: Any) -> dict[str, Any]:
    return {
        "pointer": pointer,
        "iteration": "",
        "tool": "identity.create_user",
        "summary": "Create the account",
        "status": status,
        "attempts": 1,
        "last_error": "",
        "compensation": False,
        **fields,
    }


def _run(status: str, *steps: dict[str, Any], failure: str = "") -> dict[str, Any]:
    return {
        "id": "acme.onboarding.1",
        "procedure": "hr/onboarding",
        "procedure_version": "1.0.0",
        "status": status,
        "failure": failure,
        "steps": list(steps),
    }


def test_the_first_sight_of_a_run_tells_all_of_it() -> None:
    lines = changes(None, _run("completed", _step("/do/0/a", "completed")))
    assert [line.split()[0] for line in lines] == ["acme.onboarding.1", "completed", "acme.onboarding.1"]


def test_only_what_changed_is_told() -> None:
    before = _run("running", _step("/do/0/a", "completed"), _step("/do/1/b", "running"))
    after = _run("running", _step("/do/0/a", "completed"), _step("/do/1/b", "completed"))
    assert changes(before, before) == []
    assert len(changes(before, after)) == 1


def test_a_retry_tells_its_reason() -> None:
    before = _run("running", _step("/do/0/a", "running"))
    after = _run("running", _step("/do/0/a", "waiting", attempts=3, last_error="the identity system is away"))
    (line,) = changes(before, after)
    assert line.startswith("waiting")
    assert "attempt 3" in line
    assert line.endswith("the identity system is away")


def test_undoing_a_step_is_another_line_than_the_step() -> None:
    before = _run("running", _step("/do/0/a", "completed"))
    after = _run("running", _step("/do/0/a", "completed"), _step("/do/0/a", "running", compensation=True))
    (line,) = changes(before, after)
    assert "undo" in line


@pytest.mark.parametrize(
    ("summary", "shown"),
    [("undo lunch", " undo lunch"), ("Cancel lunch", " undo: Cancel lunch"), ("", " undo: /do/0/a")],
)
def test_that_a_step_is_undone_is_said_once(summary: str, shown: str) -> None:
    line = step_line(_step("/do/0/a", "running", compensation=True, summary=summary))
    assert line.endswith(shown) and line.count("undo") == 1


def test_iterations_of_one_step_are_steps_of_their_own() -> None:
    before = _run("running", _step("/do/0/a", "completed", iteration="0"))
    after = _run("running", *before["steps"], _step("/do/0/a", "completed", iteration="1"))
    assert len(changes(before, after)) == 1


def test_the_end_is_told_once_with_the_failure() -> None:
    ended = _run("failed", failure="the identity system answered 409: taken")
    assert changes(_run("running"), ended) == ["acme.onboarding.1 failed: the identity system answered 409: taken"]
    assert changes(ended, ended) == []


@pytest.mark.parametrize("status", ["failed", "cancelled", "terminated", "timed_out"])
def test_only_completed_runs_are_success(status: str) -> None:
    assert outcome([_run("completed")]) is ExitStatus.OK
    assert outcome([_run("completed"), _run(status)]) is ExitStatus.FAILED
