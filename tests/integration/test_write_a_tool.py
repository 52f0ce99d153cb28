"""docs/write-a-tool.md: its files are a tool that passes its own tests, and the fault that it describes is found."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "write-a-tool.md"
_FILE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_KEY = '"reference": context.idempotency_key}\n    return'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in _FILE.findall(DOCUMENT.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


async def outcome(folder: Path, *options: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "test_badges.py", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_tool_passes(folder: Path) -> None:
    status, output = await outcome(folder)
    assert status == 0, output
    [printed] = re.findall(r"^```text\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    shown, seen = (re.sub(r"\d+ cuts at \d+", "n cuts at m", text) for text in (printed, output))
    assert shown in seen


async def test_a_tool_that_forgets_the_key_does_not(folder: Path) -> None:
    source = (folder / "badges.py").read_text()
    assert _KEY in source
    (folder / "badges.py").write_text(source.replace(_KEY, '"reference": ""}\n    return'))
    status, output = await outcome(folder, "-k", "issue")
    assert status == 1
    for words in re.findall(r"`FAILED (.*?)`", DOCUMENT.read_text(encoding="utf-8")):
        assert words in output, output
