"""What became of a run's steps is kept while it runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from factotum.procedures.parse import parse_raw
from factotum.workflows.chronicle import MOST_STEPS, Chronicle, goal_of, plan_of
from factotum.workflows.world import TaskEvent

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PROBLEM = {"title": "unavailable", "detail": "no route", "instance": "/do/0/t/try/0/a", "status": 503}


class Clock:
    """A second later every time."""

    def __init__(self) -> None:
        self.seconds = 0

    def __call__(self) -> datetime:
        self.seconds += 1
        return NOW + timedelta(seconds=self.seconds)


def test_rounds_retries_and_catches_are_counted() -> None:
    chronicle = Chronicle(Clock())
    for kind, pointer, phase in [
        ("try", "/do/0/t", "started"),
        ("do", "/do/0/t/try/0/d", "started"),
        ("call", "/do/0/t/try/0/a", "started"),
        ("call", "/do/0/t/try/0/a", "faulted"),
        ("try", "/do/0/t", "retried"),
        ("call", "/do/0/t/try/0/a", "started"),
        ("call", "/do/0/t/try/0/a", "completed"),
        ("try", "/do/0/t", "completed"),
    ]:
        chronicle.take(TaskEvent(pointer, "", kind, phase, PROBLEM))
    tried, called = chronicle.steps
    assert (tried.kind, tried.status, tried.retried, tried.caught) == ("try", "completed", 1, 0)
    assert (tried.error, tried.at) == ("unavailable", "/do/0/t/try/0/a")
    assert (called.status, called.completed, called.failed, called.failure) == ("completed", 1, 1, "no route")
    assert called.ended_at is not None and called.ended_at > called.started_at


def test_it_goes_on_in_another_execution() -> None:
    clock = Clock()
    whole, moved = Chronicle(clock), Chronicle(clock)
    events = [TaskEvent(f"/do/{i}/s", "", "call", phase, PROBLEM) for i in range(3) for phase in ("started", "faulted")]
    for event in events:
        clock.seconds = 0
        whole.take(event)
        clock.seconds = 0
        moved.take(event)
        moved = Chronicle(clock, moved.as_json())
    assert moved.steps == whole.steps


def test_it_is_bounded_and_says_so() -> None:
    chronicle = Chronicle(Clock())
    for index in range(MOST_STEPS + 7):
        for _ in range(2):
            chronicle.take(TaskEvent(f"/do/{index}/s", "", "call", "completed"))
    assert len(chronicle.steps) == MOST_STEPS and chronicle.left_out == 7


def test_goal_and_plan_stand_in_the_document() -> None:
    document = parse_raw(
        {
            "document": {"dsl": "1.0.3", "namespace": "t", "name": "p", "version": "1.0.0", "title": "To  welcome"},
            "do": [
                {"shape": {"set": {"a": 1}}},
                {
                    "safely": {
                        "try": [{"make": {"call": "identity.create_user", "metadata": {"summary": "an account"}}}],
                        "catch": {},
                    }
                },
                {"told": {"wait": {"seconds": 1}, "metadata": {"summary": "for ${ .name }"}}},
                {"other": {"run": {"workflow": {"namespace": "t", "name": "q", "version": "1.0.0"}}}},
            ],
        }
    ).document
    assert goal_of(document) == "To welcome"
    assert [(step.step, step.tool, step.summary) for step in plan_of(document)] == [
        ("/do/1/safely/try/0/make", "identity.create_user", "an account"),
        ("/do/2/told", "wait", ""),
        ("/do/3/other", "t/q:1.0.0", ""),
    ]
