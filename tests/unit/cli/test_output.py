from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from factotum.api.planner.v1 import planner_pb2 as planner
from factotum.api.tools.v1 import tools_pb2 as tools
from factotum.cli.output import (
    cell,
    console,
    counted,
    duration,
    note,
    print_json,
    print_json_line,
    printable,
    say,
    seconds_text,
    table,
    to_json,
)


def test_a_message_becomes_json_by_the_three_rules() -> None:
    run = planner.Run(id="acme.x.1", status=planner.RUN_STATUS_TIMED_OUT, output_json='{"a": [1]}')
    run.started_at.FromDatetime(datetime(2026, 11, 24, 9, 0, 0, 500_000, tzinfo=UTC))
    run.steps.add(pointer="/do/0/a", status=planner.STEP_STATUS_WAITING)
    found = to_json(run)
    assert found["status"] == "timed_out"
    assert found["output"] == {"a": [1]}
    assert found["started_at"] == "2026-11-24T09:00:00.500000Z"
    assert found["ended_at"] is None
    assert found["steps"][0]["status"] == "waiting"
    assert "output_json" not in found


def test_absent_json_is_null_and_every_field_is_there() -> None:
    assert to_json(planner.Run())["output"] is None
    assert to_json(planner.Run()).keys() == {
        *("id", "tenant", "procedure", "procedure_version", "status", "event_type", "started_at", "ended_at"),
        *("output", "failure", "steps", "trace_id", "ui_url", "tasks", "approvals", "steps_left_out", "waits_until"),
    }


def test_of_a_oneof_only_the_set_member_is_not_null() -> None:
    done = to_json(tools.Observation(output_json="{}"))
    failed = to_json(tools.Observation(error=tools.ToolError(kind=tools.ERROR_KIND_CONFLICT, message="taken")))
    assert (done["output"], done["error"]) == ({}, None)
    assert failed["output"] is None
    assert failed["error"]["kind"] == "conflict"


def test_what_a_newer_server_sends_is_shown_as_it_is() -> None:
    assert to_json(planner.Run(status=99))["status"] == "99"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.8124, "812 ms"), (3.21, "3.21 s"), (245, "4 min 05 s"), (7620, "2 h 07 min"), (-1, "0 ms")],
)
def test_durations(seconds: float, text: str) -> None:
    assert seconds_text(timedelta(seconds=seconds)) == text


def test_a_running_duration_counts_on() -> None:
    now = datetime(2026, 11, 24, 9, 0, 5, tzinfo=UTC)
    assert duration("2026-11-24T09:00:00Z", None, now) == "5.00 s"
    assert duration("2026-11-24T09:00:00Z", "2026-11-24T09:00:02Z", now) == "2.00 s"
    assert duration(None, None, now) == ""


def test_foreign_text_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x9bc\td\r\n\u202e") == "ab\td\n"


def test_json_of_foreign_text_steers_nothing_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "a\x1b[2J\x9bc\x7f\u202eé🙂\n"}
    print_json(value)
    print_json_line(value)
    said = capsys.readouterr().out
    assert not set("\x1b\x9b\x7f\u202e") & set(said)
    assert "é🙂" in said
    *first, last = said.splitlines()
    assert json.loads("".join(first)) == json.loads(last) == value


def test_one_is_told_as_one() -> None:
    assert [counted(n, "chunk") for n in (0, 1, 2)] == ["0 chunks", "1 chunk", "2 chunks"]
    assert counted(2, "search", "searches") == "2 searches"


def test_markup_in_foreign_text_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    foreign = "[red]a[/] [/no] [link=https://x.example]b"
    shown = table("what")
    shown.add_row(cell(foreign))
    console().print(shown)
    say(foreign)
    note(foreign)
    out, err = capsys.readouterr()
    assert (out.count(foreign), err.count(foreign)) == (2, 1)
