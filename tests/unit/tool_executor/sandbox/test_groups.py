"""Control groups: a folder stands for the kernel's file system of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from factotum.sdk.sandbox import MIB, Limits
from factotum.tool_executor.sandbox import groups
from factotum.tool_executor.sandbox.groups import ControlGroupsUnusable, Groups

LIMITS = Limits(memory_mib=100, disk_mib=10, processes=8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A group that is made below has the files of version 2, as the kernel would make them."""
    names = ["cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group", "memory.events", "pids.max"]
    make = groups.tempfile.mkdtemp

    def mkdtemp(**given: str) -> str:
        made = make(**given)
        for name in names:
            (Path(made) / name).write_text("oom 0\noom_kill 0\n" if name == "memory.events" else "")
        return made

    monkeypatch.setattr(groups.tempfile, "mkdtemp", mkdtemp)
    return tmp_path


def test_a_group_has_the_bounds_of_its_command(folder: Path) -> None:
    with Groups([folder]).made(LIMITS) as group:
        [made] = folder.glob("factotum-*")
        values = {path.name: path.read_text() for path in made.iterdir()}
        assert values["memory.max"] == str((100 + 10 + 64) * MIB)
        assert (values["memory.swap.max"], values["memory.oom.group"], values["pids.max"]) == ("0", "1", "24")
        assert group.bounds == {"memory", "pids"} and not group.killed
        (made / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
        assert group.killed


def test_who_is_started_by_it_enters_first(folder: Path) -> None:
    with Groups([folder]).made(LIMITS) as group:
        done = subprocess.run([*group.entering, "echo", "a b", "--"], capture_output=True, text=True, check=True)
        assert done.stdout == "a b --\n"
        [made] = folder.glob("factotum-*")
        assert (made / "cgroup.procs").read_text() == "0\n"
        (made / "cgroup.procs").unlink()
        (made / "cgroup.procs").mkdir()
        failed = subprocess.run([*group.entering, "echo", "x"], capture_output=True, text=True, check=False)
        assert failed.returncode == 1 and failed.stdout == ""


def test_without_folders_there_is_no_group() -> None:
    with Groups().made(LIMITS) as group:
        assert group.entering == [] and not group.killed
    Groups().check()


def test_what_cannot_bound_is_found_at_the_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Groups([folder]).check()
    with pytest.raises(ControlGroupsUnusable, match="no control group could be made"):
        Groups([folder / "missing"]).check()
    monkeypatch.undo()
    with pytest.raises(ControlGroupsUnusable, match="bound no memory and no pids"):
        Groups([folder]).check()


def test_what_a_killed_executor_left_is_removed(tmp_path: Path) -> None:
    for name, age in (("factotum-old", 100.0), ("factotum-new", 200.0), ("other", 100.0)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (age, age))
    (tmp_path / "factotum-used").mkdir()
    (tmp_path / "factotum-used" / "in use").mkdir()
    os.utime(tmp_path / "factotum-used", (100.0, 100.0))
    Groups([tmp_path]).sweep(before=150.0)
    assert {path.name for path in tmp_path.iterdir()} == {"factotum-new", "factotum-used", "other"}
