"""Reading the user's copy of the specification, as a folder and as a git directory without a work tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conformance import specification


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    (work / "ctk" / "features").mkdir(parents=True)
    (work / "ctk" / "features" / "a b.feature").write_text("Feature: ä\n", encoding="utf-8")
    (work / "ctk" / "features" / "notes.txt").write_text("no feature", encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "init", "-q"], cwd=work, check=True)
    subprocess.run([*git, "add", "."], cwd=work, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "a kit"], cwd=work, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", "work", "bare"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize("kind", ["work", "bare"])
def test_the_files_of_a_folder_with_an_ending(clone: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(specification.VARIABLE, str(clone / kind))
    assert specification.texts("ctk/features", ".feature") == [("a b.feature", "Feature: ä\n")]


@pytest.mark.parametrize("kind", ["work", "bare", ""])
def test_a_copy_that_is_none_is_an_error(clone: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(specification.VARIABLE, str(clone / kind))
    with pytest.raises(RuntimeError, match=specification.VARIABLE):
        specification.texts("examples", ".yaml")


def test_without_a_copy_one_test_is_skipped_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(specification.VARIABLE, raising=False)
    assert specification.texts("ctk/features", ".feature") == []
    (parameter,) = specification.parameters([])
    assert "make conformance SPECIFICATION=" in str(parameter)
