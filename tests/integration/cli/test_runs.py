from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.cli.main import app
from tests.support.stubs import Stubs

RUN = "acme.employee-onboarding.00112233445566778899"


def _invoke(runner: CliRunner, *arguments: str) -> Result:
    return runner.invoke(app, list(arguments))


def _run(status: Any = pb.RUN_STATUS_RUNNING, *steps: pb.Step, **fields: Any) -> pb.Run:
    run = pb.Run(id=RUN, tenant="acme", procedure="hr/employee-onboarding", procedure_version="1.0.0", **fields)
    run.status = status
    run.steps.extend(steps)
    return run


def _step(status: Any, tool: str = "identity.create_user", **fields: Any) -> pb.Step:
    return pb.Step(pointer="/do/1/createAccount", tool=tool, summary="Create the account", status=status, **fields)


def test_runs_as_a_table_and_as_json(runner: CliRunner, parts: Stubs) -> None:
    failed = _run(pb.RUN_STATUS_FAILED, event_type="taken [red]", failure="no such group")
    parts.planner.answers["ListRuns"] = pb.ListRunsResponse(runs=[failed])
    table = _invoke(runner, "runs", "--limit", "7", "--procedure", "hr/employee-onboarding", "--tenant", "globex")
    assert table.exit_code == 0
    for words in (RUN, "hr/employee-onboarding 1.0.0", "failed", "taken [red]"):
        assert words in table.stdout
    assert parts.planner.requests == [
        pb.ListRunsRequest(tenant="globex", limit=7, procedure="hr/employee-onboarding"),
    ]
    found = json.loads(_invoke(runner, "runs", "--json").stdout)
    assert (found["runs"][0]["status"], found["runs"][0]["failure"]) == ("failed", "no such group")
    assert not {"steps", "output", "tasks", "approvals"} & set(found["runs"][0])


def test_no_runs_yet(runner: CliRunner, parts: Stubs) -> None:
    parts.planner.answers["ListRuns"] = pb.ListRunsResponse()
    result = _invoke(runner, "runs")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "has no runs yet" in result.stderr


def test_show_tells_steps_failure_and_the_address_of_the_ui(runner: CliRunner, parts: Stubs) -> None:
    step = _step(pb.STEP_STATUS_FAILED, attempts=3, last_error="the identity system answered 409: taken", iteration="2")
    run = _run(pb.RUN_STATUS_FAILED, step, failure="could not create", ui_url="http://127.0.0.1:8233/x")
    parts.planner.answers["GetRun"] = pb.GetRunResponse(run=run)
    shown = _invoke(runner, "show", RUN)
    assert shown.exit_code == 0
    for words in (
        "/do/1/createAccount",
        "[2]",
        "identity.create_user",
        "3",
        "answered 409",
        "could not create",
        "8233",
    ):
        assert words in shown.stdout
    found = json.loads(_invoke(runner, "show", RUN, "--json").stdout)
    assert found["steps"][0]["attempts"] == 3


def test_an_unknown_run_is_a_sentence(runner: CliRunner, parts: Stubs) -> None:
    parts.planner.answers["GetRun"] = (grpc.StatusCode.NOT_FOUND, "tenant acme has no run 'x'")
    result = _invoke(runner, "show", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "factotum: tenant acme has no run 'x'\n"


def test_what_the_planner_refuses_is_bad_input(runner: CliRunner, parts: Stubs) -> None:
    parts.planner.answers["ListRuns"] = (grpc.StatusCode.INVALID_ARGUMENT, "procedure must be namespace/name")
    assert _invoke(runner, "runs", "--procedure", "x").exit_code == 2


def test_an_unavailable_part_is_named(runner: CliRunner, parts: Stubs) -> None:
    parts.planner.answers["GetRun"] = (grpc.StatusCode.UNAVAILABLE, "Temporal is away")
    result = _invoke(runner, "show", "x")
    assert result.exit_code == 1
    assert "the planner is not available (Temporal is away)" in result.stderr


def test_a_part_that_does_not_listen_is_named_with_the_way_to_start_it(runner: CliRunner) -> None:
    result = runner.invoke(app, ["runs"], env={"FACTOTUM_PLANNER_ADDRESS": "127.0.0.1:1"})
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "factotum: the planner does not answer: start it with `factotum dev`\n"


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [(pb.RUN_STATUS_COMPLETED, 0), (pb.RUN_STATUS_FAILED, 1), (pb.RUN_STATUS_CANCELLED, 1)],
)
def test_watch_follows_to_the_end_and_exits_as_the_run_did(
    runner: CliRunner, parts: Stubs, status: Any, exit_code: int
) -> None:
    first = _run(pb.RUN_STATUS_RUNNING, _step(pb.STEP_STATUS_RUNNING, attempts=1))
    last = _run(status, _step(pb.STEP_STATUS_COMPLETED, attempts=1))
    parts.planner.streams[RUN] = [[first, first, last]]
    result = _invoke(runner, "watch", RUN)
    assert result.exit_code == exit_code
    told = [line.split()[1] for line in result.stdout.splitlines()]
    assert told == [RUN, "running", "completed", RUN]


def test_watch_survives_a_planner_that_is_restarted(runner: CliRunner, parts: Stubs) -> None:
    away = (grpc.StatusCode.UNAVAILABLE, "going away")
    parts.planner.streams[RUN] = [[_run(), away], [away], [_run(pb.RUN_STATUS_COMPLETED)]]
    assert _invoke(runner, "watch", RUN).exit_code == 0


def test_watch_of_an_unknown_run_does_not_wait(runner: CliRunner) -> None:
    result = _invoke(runner, "watch", "acme.x.1")
    assert result.exit_code == 1
    assert "has no run" in result.stderr


def test_watch_gives_up_after_its_time(runner: CliRunner, parts: Stubs) -> None:
    parts.planner.streams[RUN] = [[_run(), 30.0]]
    result = _invoke(runner, "watch", RUN, "--timeout", "0.3")
    assert result.exit_code == 3
    assert "not ended after 0.3 s" in result.stderr


def test_watch_as_json_is_one_run_a_line(runner: CliRunner, parts: Stubs) -> None:
    parts.planner.streams[RUN] = [[_run(), _run(), _run(pb.RUN_STATUS_COMPLETED, output_json='{"a": 1}')]]
    lines = [json.loads(line) for line in _invoke(runner, "watch", RUN, "--json").stdout.splitlines()]
    assert [line["status"] for line in lines] == ["running", "completed"]
    assert lines[-1]["output"] == {"a": 1}
