"""What a stack tells about itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from factotum.dev import state
from factotum.dev.state import NoStack, PartState, ProcessId, StackState


def stack(directory: Path, supervisor: ProcessId) -> StackState:
    return StackState(
        supervisor=supervisor,
        kafka="embedded",
        directory=directory,
        secrets=directory / "secrets",
        tenants=["acme"],
        parts={
            "gateway": PartState(addresses={"http": "http://127.0.0.1:8080"}, log=directory / "gateway.log"),
            "temporal": PartState(
                addresses={"grpc": "127.0.0.1:7233", "ui": "http://127.0.0.1:8233"}, log=directory / "temporal.log"
            ),
            "kafka": PartState(log=directory / "kafka.log"),
        },
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = stack(tmp_path, ProcessId.of(os.getpid()))
    state.write(written)
    assert state.read(tmp_path) == written == state.running(tmp_path)


def test_where_there_is_no_stack_the_advice_is_to_start_one(tmp_path: Path) -> None:
    for read in (state.read, state.running):
        with pytest.raises(NoStack, match="start it with `factotum dev`"):
            read(tmp_path)


def test_a_file_that_is_no_state_is_no_stack(tmp_path: Path) -> None:
    (tmp_path / state.FILE_NAME).write_text("{}")
    with pytest.raises(NoStack, match="factotum dev"):
        state.read(tmp_path)


def test_a_stack_whose_supervisor_ended_does_not_run(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"])
    state.write(stack(tmp_path, ProcessId.of(process.pid)))
    assert state.running(tmp_path).tenants == ["acme"]
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    with pytest.raises(NoStack, match="does not run"):
        state.running(tmp_path)
    process.wait()
    with pytest.raises(NoStack, match="does not run"):
        state.running(tmp_path)


def test_a_number_that_was_used_again_is_another_process() -> None:
    own = ProcessId.of(os.getpid())
    assert own.process() is not None
    assert ProcessId(pid=own.pid, created=own.created - 100.0).process() is None


def test_the_main_address_and_those_with_a_purpose(tmp_path: Path) -> None:
    told = stack(tmp_path, ProcessId.of(os.getpid()))
    assert told.address("temporal") == told.temporal_address == "127.0.0.1:7233"
    assert told.address("temporal", "ui") == told.temporal_ui_url == "http://127.0.0.1:8233"
    for part, purpose in (("temporal", "smtp"), ("nobody", None), ("kafka", None)):
        with pytest.raises(NoStack, match=part):
            told.address(part, purpose)
