"""What the planner finds on its shelf."""

from __future__ import annotations

from pathlib import Path

import pytest

from factotum.planner.errors import LibraryFaulty
from factotum.planner.library import load, packaged_folder

GOOD = "document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0'}}\ndo:\n  - a: {{set: {{x: 1}}}}\n"


def test_all_folders_are_read(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.yaml").write_text(GOOD.format(name=name))
    assert set(load([tmp_path / "one", tmp_path / "two"]).sources) == {"test/one", "test/two"}


def test_the_packaged_procedures_are_there() -> None:
    assert "hr/employee-onboarding" in load([packaged_folder()]).sources


def test_every_fault_of_every_file_and_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("do: [")
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    (tmp_path / "c.yaml").write_text(GOOD.format(name="same"))
    (tmp_path / "d.yaml").write_text(GOOD.format(name="same"))
    absent = tmp_path / "absent"
    with pytest.raises(LibraryFaulty) as refused:
        load([tmp_path, absent, tmp_path / "c.yaml"])
    told = str(refused.value)
    assert f"{absent} is not a folder" in told and f"{tmp_path}/c.yaml is not a folder" in told
    assert f"{tmp_path}/a.yaml:" in told and f"{tmp_path}/b.yaml cannot be read" in told
    assert "d.yaml: test/same is the name of another file's procedure too" in told
