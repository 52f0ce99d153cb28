"""What a test needs of the machine that PyPI cannot give."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def needs(*commands: str, what: str) -> None:
    """Skips the test, with one line that says why, where a command is missing; in CI that is a failure."""
    missing = [command for command in commands if shutil.which(command) is None]
    if not missing:
        return
    reason = f"{what} needs {' and '.join(missing)} on PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def running(words: str, *, program: str = "") -> list[int]:
    """The processes of this machine with these words, one space between two, on their command line.

    Args:
        program: only those that have come to be it; what starts a program has its words as well.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            if words.encode() in line and program in ("", (folder / "comm").read_text().strip()):
                found.append(int(folder.name))
        except OSError:
            continue
    return found
