from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.stubs import Stubs, stubs


@pytest.fixture
def parts() -> Iterator[Stubs]:
    with stubs() as made:
        yield made


@pytest.fixture
def runner(parts: Stubs, tmp_path: Path) -> CliRunner:
    return CliRunner(env={**parts.environment, "FACTOTUM_DATA": str(tmp_path), "TERM": "dumb", "COLUMNS": "200"})
