"""`factotum policy explain` and `factotum run --for`: what is asked, and what of the answer is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from factotum.api.planner.v1 import planner_pb2
from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.cli.main import app
from tests.support.stubs import Stubs


@pytest.mark.parametrize(
    ("verdict", "word", "status"),
    [(pb.VERDICT_ALLOWED, "allowed", 0), (pb.VERDICT_DENIED, "denied", 1), (pb.VERDICT_DEPENDS, "depends", 1)],
)
def test_the_verdict_is_the_status(
    runner: CliRunner, parts: Stubs, verdict: pb.Verdict.ValueType, word: str, status: int
) -> None:
    answer = pb.AuthorizeResponse(verdict=verdict, policies=["p"], explanation="because")
    parts.tools.answers["Authorize"] = answer
    command = ["policy", "explain", "mail.send", "--args", '{"to": "x"}', "--user", "ada", "--procedure", "hr/x"]
    result = runner.invoke(app, command)
    assert (result.exit_code, result.stdout) == (status, f"{word}: because\n")
    (sent,) = parts.tools.requests
    assert sent == pb.AuthorizeRequest(
        tenant="acme", tool="mail.send", arguments_json='{"to": "x"}', procedure="hr/x", user="ada"
    )
    as_json = runner.invoke(app, [*command, "--json"])
    assert as_json.exit_code == status
    assert json.loads(as_json.stdout) == {"verdict": word, "policies": ["p"], "explanation": "because"}


def test_the_secrets_that_a_document_gives_are_asked_about(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["Authorize"] = pb.AuthorizeResponse(verdict=pb.VERDICT_ALLOWED)
    for options, secrets in (
        ([], None),
        (["--secret", "desk", "--secret", "other"], pb.PlannedSecrets(names=["desk", "other"])),
    ):
        parts.tools.requests.clear()
        assert runner.invoke(app, ["policy", "explain", "mail.send", *options]).exit_code == 0
        assert parts.tools.requests == [pb.AuthorizeRequest(tenant="acme", tool="mail.send", secrets=secrets)]


def test_a_run_is_started_for_a_person(runner: CliRunner, parts: Stubs) -> None:
    plan = planner_pb2.Plan(run_id="acme.x.1", procedure="hr/x", procedure_version="1.0.0")
    parts.planner.answers["StartRun"] = planner_pb2.StartRunResponse(plan=plan, started=True)
    parts.planner.answers["GetRun"] = planner_pb2.GetRunResponse(run=planner_pb2.Run(id="acme.x.1"))
    assert runner.invoke(app, ["run", "hr/x", "--for", "ada"]).exit_code == 0
    sent = parts.planner.requests[0]
    assert isinstance(sent, planner_pb2.StartRunRequest) and sent.user == "ada"


LINTED = "document: {dsl: '1.0.3', namespace: t, name: p, version: '1.0.0'}\n%sdo:\n  - tell: {call: mail.send}\n"


@pytest.mark.parametrize(
    ("schedule", "options", "asked_for"),
    [("", [], None), ("", ["--for", "ada"], "ada"), ("schedule: {every: {hours: 1}}\n", [], "")],
)
def test_lint_tells_what_policy_denies_to_whom_a_run_would_act_for(
    runner: CliRunner, parts: Stubs, tmp_path: Path, schedule: str, options: list[str], asked_for: str | None
) -> None:
    tool = pb.Tool(
        name="mail.send",
        version="1.0.0",
        effect=pb.EFFECT_SEND,
        idempotency=pb.IDEMPOTENCY_NATIVE,
        input_schema_json="{}",
        output_schema_json="{}",
        timeout_seconds=5,
    )
    parts.tools.answers["ListTools"] = pb.ListToolsResponse(tools=[tool])
    denial = pb.AuthorizeResponse(verdict=pb.VERDICT_DENIED, explanation="nobody may")
    parts.tools.answers["AuthorizePlan"] = pb.AuthorizePlanResponse(calls=[denial])
    document = tmp_path / "p.yaml"
    document.write_text(LINTED % schedule)
    result = runner.invoke(app, ["procedures", "lint", *options, str(document)])
    asked = [sent for sent in parts.tools.requests if isinstance(sent, pb.AuthorizePlanRequest)]
    if asked_for is None:
        assert (result.exit_code, asked) == (0, [])
        return
    (sent,) = asked
    assert (sent.user, sent.calls[0].tool, sent.calls[0].procedure) == (asked_for, "mail.send", "t/p")
    assert result.exit_code == 1
    assert ": /do/0/tell: nobody may" in result.stdout
