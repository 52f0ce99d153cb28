"""scim2-server's own suite for storages, on the one that outlives the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from scim2_models import EnterpriseUser, ResourceType, ScimProvider, SearchRequest, User
from scim2_server.testing import ScimStorageContract

from factotum.dev.sandbox.scim import GROUP, MODELS, USER, describe
from factotum.dev.sandbox.scim_storage import SqliteStorage, connect


def all_of(kind: ResourceType, storage: SqliteStorage) -> list[dict[str, Any]]:
    # As they go over the wire: writing one down adds its extensions to `schemas`.
    return [resource.model_dump() for resource in storage.search([kind], SearchRequest()).resources]


class TestSqliteStorage(ScimStorageContract):
    @pytest.fixture
    def provider(self) -> ScimProvider:
        return describe()

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[SqliteStorage]:
        with closing(connect(tmp_path / "scim.sqlite3")) as connection:
            storage = SqliteStorage(connection, "acme", MODELS)
            storage.restore()
            yield storage
            # Whatever was done to it, what is on the disk is what is.
            again = SqliteStorage(connection, "acme", MODELS)
            again.restore()
            for kind in (USER, GROUP):
                assert all_of(kind, again) == all_of(kind, storage)


def test_what_could_not_be_written_has_not_happened(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "scim.sqlite3")) as connection:
        storage = SqliteStorage(connection, "acme", MODELS)
        ada = storage.create(USER, User[EnterpriseUser](user_name="ada"))
        connection.execute("PRAGMA query_only = ON")
        with pytest.raises(sqlite3.Error):
            storage.create(USER, User(user_name="eve"))
        with pytest.raises(sqlite3.Error):
            storage.update(USER, ada.model_copy(update={"user_name": "grace"}))
        with pytest.raises(sqlite3.Error):
            storage.delete(USER, ada.id or "")
        connection.execute("PRAGMA query_only = OFF")
        assert all_of(USER, storage) == [ada.model_dump()]
        storage.create(USER, User(user_name="eve"))
