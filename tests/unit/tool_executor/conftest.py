"""The stores that the suites of the ledger run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ledgers, postgres
from tests.support.ledgers import Open
from tests.support.tool_executor import AMBIGUOUS_RETRY_SECONDS


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.postgres() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """One store, empty at first."""
    if request.param == "sqlite":
        return ledgers.sqlite(tmp_path, ambiguous_retry_seconds=AMBIGUOUS_RETRY_SECONDS)
    cluster: postgres.Cluster = request.getfixturevalue("cluster")
    return ledgers.postgres(cluster.url(), ambiguous_retry_seconds=AMBIGUOUS_RETRY_SECONDS)
