"""Processes that cannot start say why in one line, and end with status 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def start(package: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": "services", **variables}
    command = [sys.executable, "-m", f"factotum.{package}.main"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def reason(ended: subprocess.CompletedProcess[str]) -> str:
    """Of its one line."""
    assert ended.returncode == 1, ended.stderr
    [line] = ended.stderr.splitlines()
    told = json.loads(line)
    assert told["level"] == "error" and told["event"].endswith("cannot start")
    return str(told["reason"])


@pytest.mark.parametrize("package", ["gateway", "planner", "worker", "memory"])
def test_faulty_settings_name_the_variables_and_not_their_values(package: str) -> None:
    told = reason(start(package, FACTOTUM_KAFKA__PUBLISH_TIMEOUT_SECONDS="soon", FACTOTUM_TELEMETRY__LOG_LEVEL="LOUD"))
    assert "FACTOTUM_KAFKA__PUBLISH_TIMEOUT_SECONDS: " in told
    assert "FACTOTUM_TELEMETRY__LOG_LEVEL: " in told
    assert "soon" not in told


def test_settings_that_are_not_json() -> None:
    assert "FACTOTUM_" in reason(start("planner", FACTOTUM_PROCEDURES="[not json"))


def test_a_folder_of_procedures_that_is_not_there(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    told = reason(start("planner", FACTOTUM_PROCEDURES=json.dumps([str(absent)])))
    assert told == f"{absent} is not a folder"


def test_a_faulty_procedure(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("do: [")
    assert f"{tmp_path}/wrong.yaml:" in reason(start("planner", FACTOTUM_PROCEDURES=json.dumps([str(tmp_path)])))


def test_what_nobody_foresaw_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = start("memory", FACTOTUM_EMBEDDING__CACHE_DIR=str(tmp_path / "file"), FACTOTUM_GRPC__PORT="0")
    assert ended.returncode == 1
    last = json.loads(ended.stderr.splitlines()[-1])
    assert last["event"] == "memory ends" and "Traceback" in last["exception"]
