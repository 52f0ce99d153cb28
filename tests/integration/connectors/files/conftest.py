"""An empty root."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.files import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    root = tmp_path / "root"
    root.mkdir()
    return Place(root)
