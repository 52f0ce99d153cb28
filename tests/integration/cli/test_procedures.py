from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.cli.main import app
from tests.support.stubs import Stubs

RUN = "acme.p.00112233445566778899"
NAME = "test/p"


def _invoke(runner: CliRunner, *arguments: str, **given: Any) -> Result:
    return runner.invoke(app, list(arguments), **given)


def _run(status: Any = pb.RUN_STATUS_RUNNING) -> pb.Run:
    return pb.Run(id=RUN, tenant="acme", procedure=NAME, procedure_version="1.0.0", status=status, ui_url="http://ui/x")


@pytest.fixture
def started(parts: Stubs) -> Stubs:
    plan = pb.Plan(run_id=RUN, procedure=NAME, procedure_version="1.0.0")
    parts.planner.answers["StartRun"] = pb.StartRunResponse(plan=plan, started=True)
    parts.planner.answers["GetRun"] = pb.GetRunResponse(run=_run())
    return parts


def test_run_starts_and_links_to_the_ui(runner: CliRunner, started: Stubs, tmp_path: Path) -> None:
    (tmp_path / "input.yaml").write_text("day: 2026-01-05\n")
    arguments = ("run", NAME, "--version", "1.0.0", "--input", str(tmp_path / "input.yaml"), "--request-id", "r-1")
    result = _invoke(runner, *arguments)
    assert (result.exit_code, result.stdout) == (0, f"started {RUN} (test/p 1.0.0)\nTemporal UI: http://ui/x\n")
    assert started.planner.requests[0] == pb.StartRunRequest(
        tenant="acme", procedure=NAME, version="1.0.0", input_json='{"day": "2026-01-05"}', request_id="r-1"
    )


def test_every_run_by_hand_is_a_request_of_its_own(runner: CliRunner, started: Stubs) -> None:
    for _ in range(2):
        assert _invoke(runner, "run", NAME, "--input", "-", input='{"a": 1}').exit_code == 0
    one, _, two, _ = started.planner.requests
    assert isinstance(one, pb.StartRunRequest) and isinstance(two, pb.StartRunRequest)
    assert one.input_json == '{"a": 1}' and one.request_id != two.request_id


@pytest.mark.parametrize(("status", "exit_code"), [(pb.RUN_STATUS_COMPLETED, 0), (pb.RUN_STATUS_FAILED, 1)])
def test_run_and_watch(runner: CliRunner, started: Stubs, status: Any, exit_code: int) -> None:
    started.planner.streams[RUN] = [[_run(), _run(status)]]
    result = _invoke(runner, "run", NAME, "--watch", "--json")
    assert result.exit_code == exit_code
    found = json.loads(result.stdout)
    assert (found["run_id"], found["started"]) == (RUN, True)
    assert found["run"]["status"] == ("completed" if exit_code == 0 else "failed")


def test_a_request_made_before_is_said_so(runner: CliRunner, started: Stubs) -> None:
    started.planner.answers["StartRun"].started = False
    assert f"was started before: {RUN}" in _invoke(runner, "run", NAME).stdout


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [
        (grpc.StatusCode.NOT_FOUND, 1),
        (grpc.StatusCode.FAILED_PRECONDITION, 1),
        (grpc.StatusCode.INVALID_ARGUMENT, 2),
    ],
)
def test_what_the_planner_refuses_is_a_sentence(
    runner: CliRunner, parts: Stubs, status: grpc.StatusCode, exit_code: int
) -> None:
    parts.planner.answers["StartRun"] = (status, "not like this")
    result = _invoke(runner, "run", NAME)
    assert (result.exit_code, result.stderr) == (exit_code, "factotum: not like this\n")


@pytest.mark.parametrize(("text", "words"), [("a: [", "neither JSON nor YAML"), ("a: .nan", "no part of an input")])
def test_an_input_that_is_none(runner: CliRunner, text: str, words: str) -> None:
    result = _invoke(runner, "run", NAME, "--input", "-", input=text)
    assert result.exit_code == 2 and words in result.stderr
    assert _invoke(runner, "run", NAME, "--input", "/nowhere").exit_code == 2


def test_cancel(runner: CliRunner, parts: Stubs) -> None:
    parts.planner.answers["CancelRun"] = pb.CancelRunResponse()
    assert "was asked to end" in _invoke(runner, "cancel", RUN).stdout
    assert json.loads(_invoke(runner, "cancel", RUN, "--json").stdout) == {"run_id": RUN}
    assert parts.planner.requests[0] == pb.CancelRunRequest(tenant="acme", run_id=RUN)
    parts.planner.answers["CancelRun"] = (grpc.StatusCode.FAILED_PRECONDITION, "the run has ended: it is completed")
    assert _invoke(runner, "cancel", RUN).stderr == "factotum: the run has ended: it is completed\n"


def test_register(runner: CliRunner, parts: Stubs, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.yaml", "b.yaml")]
    for file in files:
        file.write_text(f"# {file.name}\n")
    parts.planner.answers["RegisterProcedure"] = [
        pb.RegisterProcedureResponse(procedure=NAME, version="1.0.0", added=True),
        pb.RegisterProcedureResponse(procedure=NAME, version="1.1.0"),
    ]
    result = _invoke(runner, "procedures", "register", *map(str, files))
    assert (result.exit_code, result.stdout) == (0, "test/p 1.0.0 registered\ntest/p 1.1.0 was there before\n")
    assert parts.planner.requests[0] == pb.RegisterProcedureRequest(tenant="acme", document="# a.yaml\n")
    found = json.loads(_invoke(runner, "procedures", "register", str(files[0]), "--json").stdout)
    assert found == {"procedures": [{"procedure": NAME, "version": "1.1.0", "added": False}]}
    taken = "test/p 1.0.0 is there with another content: raise the version"
    parts.planner.answers["RegisterProcedure"] = (grpc.StatusCode.ALREADY_EXISTS, taken)
    refused = _invoke(runner, "procedures", "register", str(files[0]))
    assert (refused.exit_code, refused.stderr) == (1, f"factotum: {taken}\n")


def test_show_and_list(runner: CliRunner, parts: Stubs) -> None:
    procedure = pb.Procedure(procedure=NAME, version="1.1.0", versions=["1.1.0", "1.0.0"])
    parts.planner.answers["GetProcedure"] = pb.GetProcedureResponse(procedure=procedure, document="document: [x]\n")
    assert _invoke(runner, "procedures", "show", f"{NAME}:1.1.0").stdout == "document: [x]\n"
    assert json.loads(_invoke(runner, "procedures", "show", NAME, "--json").stdout)["document"] == "document: [x]\n"
    assert parts.planner.requests == [
        pb.GetProcedureRequest(tenant="acme", procedure=NAME, version="1.1.0"),
        pb.GetProcedureRequest(tenant="acme", procedure=NAME),
    ]
    parts.planner.answers["ListProcedures"] = pb.ListProceduresResponse(procedures=[procedure])
    (row,) = [line.split() for line in _invoke(runner, "procedures", "list").stdout.splitlines() if NAME in line]
    assert row == [NAME, "1.1.0", "1.0.0"]
