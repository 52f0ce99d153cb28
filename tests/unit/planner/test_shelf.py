"""What the planner finds on its shelf."""

from __future__ import annotations

from pathlib import Path

import pytest

from factotum.planner.errors import LibraryFaulty
from factotum.planner.shelf import packaged_folder, read

GOOD = (
    "document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '{version}'}}\ndo:\n  - a: {{set: {{x: 1}}}}\n"
)


def names(*folders: Path) -> set[tuple[str, str]]:
    return {(filed.source.document.full_name, filed.source.document.document.version) for filed in read(list(folders))}


def test_all_folders_are_read(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.yaml").write_text(GOOD.format(name=name, version="1.0.0"))
    (tmp_path / "two" / "q.yaml").write_text(GOOD.format(name="two", version="1.1.0"))
    assert names(tmp_path / "one", tmp_path / "two") == {
        ("test/one", "1.0.0"),
        ("test/two", "1.0.0"),
        ("test/two", "1.1.0"),
    }


def test_the_packaged_procedures_are_there() -> None:
    assert "hr/employee-onboarding" in {name for name, _ in names(packaged_folder())}


def test_every_fault_of_every_file_and_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("do: [")
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    (tmp_path / "c.yaml").write_text(GOOD.format(name="same", version="1.0.0"))
    (tmp_path / "d.yaml").write_text(GOOD.format(name="same", version="1.0.0"))
    absent = tmp_path / "absent"
    with pytest.raises(LibraryFaulty) as refused:
        read([tmp_path, absent, tmp_path / "c.yaml"])
    told = str(refused.value)
    assert f"{absent} is not a folder" in told and f"{tmp_path}/c.yaml is not a folder" in told
    assert f"{tmp_path}/a.yaml:" in told and f"{tmp_path}/b.yaml cannot be read" in told
    assert f"d.yaml: test/same 1.0.0 stands in {tmp_path}/c.yaml too" in told
