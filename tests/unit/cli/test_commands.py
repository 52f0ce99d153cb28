"""Commands without any stack: help, sentences and exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from factotum.cli.main import app

_PROCEDURES = Path(__file__).parents[3] / "procedures"
_EVENT = '{"id": "1", "source": "/test", "type": "t"}'


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in ("GATEWAY", "PLANNER", "TOOL_EXECUTOR", "MEMORY", "KAFKA", "TRACES"):
        monkeypatch.delenv(f"FACTOTUM_{name}_ADDRESS", raising=False)
    return CliRunner(env={"FACTOTUM_DATA": str(tmp_path), "TERM": "dumb", "COLUMNS": "200"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["runs", "--json"],
        ["show", "acme.x.1"],
        ["watch", "acme.x.1"],
        ["trace", "acme.x.1"],
        ["tools", "list"],
        ["tools", "describe", "hr.get_employee"],
        ["tools", "call", "hr.get_employee"],
        ["policy", "explain", "mail.send"],
        ["effects", "list"],
        ["effects", "resolve", "key", "--happened"],
        ["procedures", "list"],
        ["memory", "search", "Ada"],
        ["dead-letter", "list"],
        ["dead-letter", "replay", "--all"],
        ["publish", "-"],
        ["run", "hr/x"],
        ["cancel", "acme.x.1"],
        ["approvals"],
        ["approve", "acme.x.1", "order", "--yes"],
        ["deny", "acme.x.1", "order", "--yes"],
        ["tasks"],
        ["procedures", "show", "hr/x"],
    ],
)
def test_no_stack_is_said_with_the_way_to_start_one(runner: CliRunner, arguments: list[str]) -> None:
    result = runner.invoke(app, arguments, input=_EVENT)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "start it with `factotum dev`" in result.stderr
    # Of a call, whose key was made here, that too is said.
    assert len([line for line in result.stderr.splitlines() if "--key" not in line]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tools", "call", "hr.get_employee", "--args", "{"], "are not JSON"),
        (["tools", "call", "hr.get_employee", "--args", "[]"], "must be a JSON object"),
        (["tools", "call", "hr.get_employee", "--args", "@/nowhere"], "cannot be read"),
        (["effects", "resolve", "key"], "--happened or --did-not"),
        (["effects", "resolve", "key", "--did-not", "--output", "{}"], "goes with --happened"),
        (["effects", "resolve", "key", "--happened", "--output", "{"], "--output is not JSON"),
        (["effects", "list", "--state", "lost"], "lost"),
        (["dead-letter", "replay"], "ID of one letter, or --all"),
        (["dead-letter", "replay", "id", "--all"], "ID of one letter, or --all"),
        (["publish", "/nowhere/event.json"], "No such file"),
        (["procedures", "lint", "/nowhere.yaml"], "No such file"),
        (["memory", "search", "x", "--kind", "dream"], "dream"),
        (["runs", "--limit", "0"], "--limit"),
        (["approve", "acme.x.1", "order"], "add --yes"),
        (["deny", "acme.x.1", "order"], "add --yes"),
    ],
)
def test_bad_input_is_a_sentence_and_status_2(runner: CliRunner, arguments: list[str], words: str) -> None:
    result = runner.invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_lint_passes_the_packaged_procedures_without_a_stack(runner: CliRunner) -> None:
    files = [str(path) for path in sorted(_PROCEDURES.glob("*.yaml"))]
    result = runner.invoke(app, ["procedures", "lint", "--json", *files])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["catalog"] == "installed"
    assert [entry["faults"] for entry in found["files"]] == [[]] * len(files)
    text = runner.invoke(app, ["procedures", "lint", *files])
    assert text.stderr == f"{len(files)} checked against the installed tools: no faults\n"


def test_lint_names_every_fault_with_its_place(runner: CliRunner, tmp_path: Path) -> None:
    document = tmp_path / "wrong.yaml"
    document.write_text(
        "document: {dsl: '1.0.3', namespace: hr, name: wrong, version: '1.0.0'}\n"
        "do:\n"
        "  - first:\n"
        "      call: identity.make_user\n"
        "      with: {id: '${ .a | }'}\n",
        encoding="utf-8",
    )
    result = runner.invoke(app, ["procedures", "lint", "--json", str(document)])
    assert result.exit_code == 1
    faults = json.loads(result.stdout)["files"][0]["faults"]
    assert {(fault["pointer"], fault["line"]) for fault in faults} == {
        ("/do/0/first/call", 4),
        ("/do/0/first/with/id", 5),
    }
    text = runner.invoke(app, ["procedures", "lint", str(document)])
    assert text.exit_code == 1
    assert f"{document}:4:7: /do/0/first/call: there is no tool `identity.make_user`" in text.stdout


def test_lint_of_what_is_no_document(runner: CliRunner, tmp_path: Path) -> None:
    document = tmp_path / "wrong.yaml"
    document.write_text("do: [", encoding="utf-8")
    result = runner.invoke(app, ["procedures", "lint", str(document)])
    assert result.exit_code == 1
    assert "not YAML" in result.stdout
    assert result.stderr == "1 checked against the installed tools: 1 fault\n"


def test_help_comes_at_once() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "factotum.cli.main", "--help"], capture_output=True, text=True)
    spent = time.monotonic() - started
    assert done.returncode == 0
    for command in (
        "dev",
        "demo",
        "publish",
        "run",
        "runs",
        "show",
        "watch",
        "cancel",
        "approvals",
        "approve",
        "deny",
        "tasks",
        "trace",
        "tools",
        "effects",
        "dead-letter",
    ):
        assert command in done.stdout
    # Half a second on an idle machine; three on a busy one still tells of an import too many.
    assert spent < 3


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, factotum.cli.main; "
        "print([name for name in ('grpc', 'httpx2', 'aiokafka', 'jq', 'rich.table', 'pydantic', 'yaml')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
