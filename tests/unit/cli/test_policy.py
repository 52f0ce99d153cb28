"""`factotum policy check` needs no stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cedarpy import Schema
from typer.testing import CliRunner

from factotum.cli.main import app

GOOD = '@id("all") permit(principal, action, resource);\n'


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner(env={"TERM": "dumb", "COLUMNS": "200"})


def test_the_starter_is_without_fault_and_is_printed(runner: CliRunner, tmp_path: Path) -> None:
    checked = runner.invoke(app, ["policy", "check"])
    assert (checked.exit_code, checked.stderr) == (0, "1 file checked: 1 policies, no faults\n")
    (tmp_path / "mine.cedar").write_text(runner.invoke(app, ["policy", "starter"]).stdout)
    assert runner.invoke(app, ["policy", "check", str(tmp_path)]).exit_code == 0


def test_the_schema_is_printed_as_cedar_reads_it(runner: CliRunner) -> None:
    Schema.from_str(runner.invoke(app, ["policy", "schema"]).stdout)


def test_faults_are_named_with_file_line_and_advice(runner: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "good.cedar").write_text(GOOD)
    (tmp_path / "not.txt").write_text("permit")
    bad = tmp_path / "bad.cedar"
    bad.write_text(f'{GOOD.replace("all", "x")}\n@id("y")\npermit(principal == Usr::"ada", action, resource);\n')
    result = runner.invoke(app, ["policy", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == (
        f"{bad}:4: unrecognized entity type `Usr`. There are Tenant, Group, User, Service, System and Tool"
    )
    assert result.stderr == "2 files checked: 2 faults\n"
    found = json.loads(runner.invoke(app, ["policy", "check", "--json", str(tmp_path)]).stdout)
    assert found["policies"] == 0
    assert [(fault["file"], fault["line"]) for fault in found["faults"]] == [(str(bad), 4), (str(bad), 3)]


def test_folders_are_checked_as_they_hold_together(runner: CliRunner, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.cedar").write_text(GOOD)
    result = runner.invoke(app, ["policy", "check", *(str(tmp_path / name) for name in ("one", "two"))])
    assert result.exit_code == 1
    assert "the id 'all' is that of another policy" in result.stdout


def test_what_is_no_folder_of_policies_is_bad_input(runner: CliRunner, tmp_path: Path) -> None:
    for given, words in ((tmp_path / "none", "is no folder"), (tmp_path, "there is no *.cedar file in")):
        result = runner.invoke(app, ["policy", "check", str(given)])
        assert (result.exit_code, result.stdout) == (2, "") and words in result.stderr
