"""What a test needs of the machine that PyPI cannot give."""

from __future__ import annotations

import os
import shutil

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
