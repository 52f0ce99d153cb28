"""`factotum dev` where no stack runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factotum.dev import main, state
from tests.support.stack import Stack


@pytest.fixture
def nothing(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "none")


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"]])
def test_the_status_of_nothing_is_advice(nothing: Stack, arguments: list[str]) -> None:
    asked = nothing.cli(*arguments)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "start it with `factotum dev`" in asked.stderr and "Traceback" not in asked.stderr


def test_down_where_nothing_runs_is_no_error(nothing: Stack) -> None:
    asked = nothing.cli("down")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout == f"nothing runs in {nothing.directory}\n"


def test_the_log_of_an_unknown_part_is_bad_input(nothing: Stack) -> None:
    logs = nothing.directory / "logs"
    logs.mkdir(parents=True)
    (logs / "planner.log").write_text("".join(f"line {number}\n" for number in range(5)))
    assert nothing.cli("logs", "planner", "-n", "2").stdout == "line 3\nline 4\n"
    assert json.loads(nothing.cli("logs", "planner", "-n", "2", "--json").stdout) == {
        "part": "planner",
        "file": str(logs / "planner.log"),
        "lines": ["line 3", "line 4"],
    }
    asked = nothing.cli("logs", "plamer")
    assert asked.returncode == 2 and "there are planner" in asked.stderr


@pytest.mark.parametrize("words", [[], ["--detach"]])
@pytest.mark.parametrize("folder", ["{tmp}/file", "{tmp}/file/below", "/proc/factotum"])
def test_a_folder_that_cannot_be_used_is_bad_input(tmp_path: Path, folder: str, words: list[str]) -> None:
    (tmp_path / "file").write_text("")
    asked = Stack(Path(folder.format(tmp=tmp_path))).cli(*words)
    assert (asked.returncode, asked.stdout) == (2, "")
    [sentence] = asked.stderr.splitlines()
    assert "cannot keep a stack's state" in sentence and sentence.endswith("name a folder of yours with --data")


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
@pytest.mark.parametrize("content", ["", "{", "{}", '{"health": 1, "parts": {"a": 1, "b": 2}}'])
def test_a_damaged_state_is_one_sentence(nothing: Stack, content: str, words: list[str]) -> None:
    nothing.directory.mkdir()
    (nothing.directory / state.FILE_NAME).write_text(content)
    asked = nothing.cli(*words)
    assert (asked.returncode, asked.stdout) == (1, "")
    [sentence] = asked.stderr.splitlines()
    assert "is damaged" in sentence and "start the stack with `factotum dev`" in sentence


def test_a_second_one_in_the_foreground_says_that_one_runs(nothing: Stack) -> None:
    with main.lock(nothing.directory):
        asked = nothing.cli()
    assert asked.returncode == 1
    assert "runs in" in asked.stderr and "factotum dev down" in asked.stderr
