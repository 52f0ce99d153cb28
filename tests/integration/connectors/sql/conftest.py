"""A database of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import EFFECTS, Place, on_postgres, on_sqlite
from tests.support.postgres import Cluster, postgres


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["postgresql", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made = on_postgres(request.getfixturevalue("cluster")) if request.param == "postgresql" else on_sqlite(tmp_path)
    made.sql(EFFECTS, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER)")
    return made


@pytest.fixture
def pg(cluster: Cluster) -> Place:
    made = on_postgres(cluster)
    made.sql(EFFECTS, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER)")
    return made
