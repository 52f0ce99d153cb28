"""`factotum procedures simulate`, `test` and `lint --simulate`, without any stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from factotum.cli.main import app

PROCEDURES = Path(__file__).parents[3] / "procedures"
ONBOARDING = str(PROCEDURES / "employee-onboarding.yaml")
HEAD = "document: {dsl: '1.0.3', namespace: test, name: NAME, version: '1.0.0'}\n"
PAID = """
input: {schema: {document: {type: object, properties: {id: {type: string}}, required: [id]}}}
do:
  - find: {call: hr.get_employee, with: {id: '${ .id }'}}
  - wait: {wait: PT2H}
  - tell:
      call: mail.send
      with: {to: a@example.com, subject: Hello, text: '${ .firstName }'}
      metadata:
        approval: {by: [eve], within: PT1H}
        compensate: {call: mail.send, with: {to: b@example.com, subject: Sorry, text: Sorry}}
  - mark: {call: hr.update_employee, with: {id: '7', fields: {status: Told}}}
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in ("GATEWAY", "PLANNER", "TOOL_EXECUTOR", "MEMORY", "KAFKA", "TRACES"):
        monkeypatch.delenv(f"FACTOTUM_{name}_ADDRESS", raising=False)
    return CliRunner(env={"FACTOTUM_DATA": str(tmp_path), "TERM": "dumb", "COLUMNS": "160"})


@pytest.fixture
def paid(tmp_path: Path) -> str:
    path = tmp_path / "paid.yaml"
    path.write_text(HEAD.replace("NAME", "paid") + PAID)
    return str(path)


def test_the_tree_shows_every_step_and_effect(runner: CliRunner, paid: str) -> None:
    result = runner.invoke(app, ["procedures", "simulate", paid, "--input", "-"], input="{id: '7'}")
    assert result.exit_code == 0, result.output
    lines = [line.strip("│├└─ ") for line in result.stdout.splitlines()]
    assert lines[:9] == [
        "test/paid 1.0.0  from 2026-01-05T09:00:00+00:00",
        "find  call",
        '→ hr.get_employee  {"id": "7"}',
        "wait  wait  waited 2 h 00 min",
        "tell  call  +2 h 00 min",
        "? 1 of eve must agree until 2026-01-05T12:00:00+00:00",
        "approved by eve",
        '⇒ mail.send [send]  {"to": "a@example.com", "subject": "Hello", "text": "firstName-1"}',
        "mark  call  +2 h 00 min",
    ]
    assert "effects: 2 (1 send, 1 update)" in lines
    assert "test/paid: 4 of 4 branches (100 %)" in lines


def test_a_failure_is_shown_with_what_is_undone(runner: CliRunner, paid: str) -> None:
    result = runner.invoke(app, ["procedures", "simulate", paid, "--fail", "/do/3/mark=conflict:409"])
    assert result.exit_code == 1
    assert "✗ conflict: made to fail in the simulation" in result.stdout
    assert '/do/2/tell  ⇒ mail.send [send]  {"to": "b@example.com"' in result.stdout
    assert "undone: 1" in result.stdout
    refused = runner.invoke(app, ["procedures", "simulate", paid, "--deny", "/do/2/tell"])
    assert (refused.exit_code, "refused by eve" in refused.stdout) == (1, True)


def test_json_is_for_programs(runner: CliRunner, paid: str, tmp_path: Path) -> None:
    (tmp_path / "seen.yaml").write_text("[{tool: hr.get_employee, output: {id: '7', firstName: Ada}}]")
    result = runner.invoke(
        app, ["procedures", "simulate", paid, "--json", "--observations", str(tmp_path / "seen.yaml")]
    )
    found: dict[str, Any] = json.loads(result.stdout)
    assert (found["status"], found["duration_seconds"], found["undone"]) == ("completed", 7200.0, [])
    assert [(each["tool"], each["effect"]) for each in found["effects"]] == [
        ("hr.get_employee", "none"),
        ("mail.send", "send"),
        ("hr.update_employee", "update"),
    ]
    assert found["effects"][1]["arguments"]["text"] == "Ada"
    assert found["coverage"]["test/paid"] == {"covered": 4, "total": 4, "missing": []}
    assert [node["step"] for node in found["tree"]] == ["/do/0/find", "/do/1/wait", "/do/2/tell", "/do/3/mark"]


@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (["--fail", "/do/1/createAcount"], "", "Did you mean `/do/1/createAccount`?"),
        (["--fail", "/do/1/createAccount=nonsense"], "", "'nonsense' is no kind of error"),
        (["--deny", "/do/9"], "", "there is no step /do/9"),
        (["--input", "/nowhere"], "", "/nowhere cannot be read"),
        (["--input", "-"], "{", "neither JSON nor YAML"),
        (["--observations", "-"], "[{tool: hr.nothing}]", "there is no tool hr.nothing"),
        (["--observations", "-"], "[{tool: hr.get_employee, output: {}}]", "'id' is a required property"),
        (["--observations", "-"], "[{tool: hr.get_employee, error: {kind: x}}]", "x is none of"),
        (["--events", "-"], "[{after: soon}]", "event 0: `after` is no duration"),
        (["--events", "-"], "{}", "events are a list"),
    ],
)
def test_bad_input_is_said(runner: CliRunner, arguments: list[str], text: str, words: str) -> None:
    result = runner.invoke(app, ["procedures", "simulate", ONBOARDING, *arguments], input=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_a_document_with_faults_is_not_simulated(runner: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "faulty.yaml"
    path.write_text(HEAD.replace("NAME", "faulty") + "do:\n  - a: {call: hr.nothing}\n")
    result = runner.invoke(app, ["procedures", "simulate", str(path)])
    assert result.exit_code == 2
    assert f"{path}:3:" in result.stderr


def test_procedures_that_it_runs_are_found_beside_it(runner: CliRunner, tmp_path: Path) -> None:
    for name, version, n in (("inner", "1.0.0", 1), ("inner", "1.10.0", 3), ("inner", "1.9.0", 2)):
        head = HEAD.replace("NAME", name).replace("version: '1.0.0'", f"version: {version}")
        (tmp_path / f"{name}-{version}.yaml").write_text(head + f"do: [{{a: {{set: {{n: {n}}}}}}}]")
    outer = tmp_path / "outer.yaml"
    outer.write_text(
        HEAD.replace("NAME", "outer") + "do: [{a: {run: {workflow: {namespace: test, name: inner, input: {}}}}}]"
    )
    (tmp_path / "note.yaml").write_text("[no document]")
    result = runner.invoke(app, ["procedures", "simulate", str(outer), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["output"] == {"n": 3}


def test_the_packaged_cases_pass(runner: CliRunner) -> None:
    result = runner.invoke(app, ["procedures", "test", str(PROCEDURES / "cases"), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {case["procedure"] for case in found["cases"]} == {"hr/employee-onboarding", "hr/employee-offboarding"}
    missing = {name: each["missing"] for name, each in found["coverage"].items()}
    assert missing["hr/employee-offboarding"] == []
    # Everybody is in a group, and there are three trainings.
    assert [each["which"] for each in missing["hr/employee-onboarding"]] == ["no round", "no round"]


CASE = """
procedure: test/paid
expect: {status: completed, effects: [hr.update_employee]}
"""


def test_a_case_that_ends_otherwise_fails_with_the_difference(runner: CliRunner, paid: str, tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "one.yaml").write_text(CASE)
    (tmp_path / "cases" / "two.yaml").write_text(
        "procedure: ../paid.yaml\ndeny: [/do/2/tell]\nexpect: {status: failed}"
    )
    result = runner.invoke(app, ["procedures", "test", str(tmp_path / "cases")])
    assert result.exit_code == 1
    assert "FAILED  " + str(tmp_path / "cases" / "one.yaml") in result.stdout
    assert '+   "mail.send"' in result.stdout
    assert "ok      " + str(tmp_path / "cases" / "two.yaml") in result.stdout
    assert "2 cases, 1 failed" in result.stderr


def test_too_little_coverage_fails(runner: CliRunner, paid: str, tmp_path: Path) -> None:
    (tmp_path / "case.yaml").write_text("procedure: paid.yaml\nfail: [/do/0/find]\nexpect: {status: failed}")
    assert runner.invoke(app, ["procedures", "test", str(tmp_path), "--min-coverage", "25"]).exit_code == 0
    result = runner.invoke(app, ["procedures", "test", str(tmp_path), "--min-coverage", "26"])
    assert result.exit_code == 1
    assert "test/paid: its coverage is below 26 %" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no case"),
        ("procedure: test/nothing", "there is no procedure test/nothing"),
        ("procedure: nothing.yaml", "nothing.yaml cannot be read"),
        ("expect: {}", "procedure: Field required"),
        ("procedure: test/paid\nexpects: {}", "expects: Extra inputs"),
        ("procedure: test/paid\nfail: [/do/0/fnd]", "Did you mean `/do/0/find`"),
    ],
)
def test_a_case_that_is_none_is_said(runner: CliRunner, paid: str, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "case.yaml").write_text(text)
    result = runner.invoke(app, ["procedures", "test", str(tmp_path)])
    assert result.exit_code == 2
    assert words in result.stderr


def test_lint_rehearses_if_it_is_asked_to(runner: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        HEAD.replace("NAME", "wrong")
        + "do:\n  - find: {call: hr.get_employee, with: {id: '7'}}\n"
        + "  - add: {set: {n: '${ reduce .id as $x (0; . + $x) }'}}\n"
        + "input: {schema: {document: {type: object, properties: {}, required: [], additionalProperties: false}}}\n"
    )
    assert runner.invoke(app, ["procedures", "lint", str(path)]).exit_code == 0
    result = runner.invoke(app, ["procedures", "lint", "--simulate", str(path)])
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}:4:")
    assert "/do/1/add/set: fails whatever the tools answer" in result.stdout
