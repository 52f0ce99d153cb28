"""The user's copy of the specification: a folder, or a git directory without a work tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

VARIABLE = "FACTOTUM_SPECIFICATION"
WHY_NOT = f"the specification is not redistributed: `make conformance SPECIFICATION=<a clone of it>`, or set {VARIABLE}"


def texts(folder: str, suffix: str) -> list[tuple[str, str]]:
    """(name, text) of the specification's files below `folder`; none if there is no copy of it.

    Raises `RuntimeError` if the copy that was named has no such file.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        return []
    root = Path(named).expanduser()
    found = sorted(_in_folder(root / folder, suffix) if (root / folder).is_dir() else _in_git(root, folder, suffix))
    if not found:
        raise RuntimeError(f"{VARIABLE}={named} has no {folder}/*{suffix}: is it a clone of the specification?")
    return found


def parameters(cases: Sequence[tuple[str, object]]) -> list[object]:
    """Cases for `pytest.mark.parametrize`; without a specification, one that is skipped and says why."""
    if not os.environ.get(VARIABLE):
        return [pytest.param(None, marks=pytest.mark.skip(reason=WHY_NOT), id="no specification")]
    return [pytest.param(case, id=name) for name, case in cases]


def _in_folder(folder: Path, suffix: str) -> Iterator[tuple[str, str]]:
    for path in folder.glob(f"*{suffix}"):
        yield path.name, path.read_text(encoding="utf-8")


def _in_git(root: Path, folder: str, suffix: str) -> Iterator[tuple[str, str]]:
    for path in _git(root, "ls-tree", "-r", "-z", "--name-only", "HEAD", f"{folder}/").split("\0"):
        if path.endswith(suffix):
            yield path.rpartition("/")[2], _git(root, "show", f"HEAD:{path}")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{VARIABLE}={root} is no clone of the specification: {done.stderr.strip()}")
    return done.stdout
