"""scim2-server's storage with a memory that outlives the process.

The library keeps its resources in memory, indexed, and its rules are there; this writes each change through
to SQLite before it is answered, and reads everything back at the start.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scim2_models import Resource, ResourceType
from scim2_server.memory import InMemoryStorage

from factotum.dev.sandbox import database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
"""
_VERSION = re.compile(r'W/"(\d+)"')


def connect(path: Path) -> sqlite3.Connection:
    return database.connect(path, _SCHEMA)


class SqliteStorage(InMemoryStorage):
    """One tenant's resources. A change is on the disk when its method returns; one that could not be
    written raises `sqlite3.Error` and has not happened."""

    def __init__(self, connection: sqlite3.Connection, tenant: str, models: Mapping[str, type[Resource[Any]]]) -> None:
        """`models` has the class of every resource type by its name. `restore` before the first use."""
        super().__init__()
        self._connection = connection
        self._tenant = tenant
        self._models = models

    def restore(self) -> None:
        """Takes what is on the disk for what is."""
        rows = self._connection.execute("SELECT type, document FROM resources WHERE tenant = ?", (self._tenant,))
        self.resources = [self._models[row["type"]].model_validate_json(row["document"]) for row in rows]
        # A version is never given twice to one resource, though counting begins anew.
        self.versions = itertools.count(1 + max(map(_version, self.resources), default=0))

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        with self._written():
            created = super().create(resource_type, resource)
            self._write(created)
        return created

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        with self._written():
            updated = super().update(resource_type, resource, expected_version=expected_version)
            self._write(updated)
        return updated

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        with self._written():
            super().delete(resource_type, resource_id, expected_version=expected_version)
            self._connection.execute("DELETE FROM resources WHERE tenant = ? AND id = ?", (self._tenant, resource_id))

    @contextmanager
    def _written(self) -> Iterator[None]:
        with self.lock:
            try:
                with self._connection:
                    yield
            except sqlite3.Error:
                self.restore()
                raise

    def _write(self, resource: Resource[Any]) -> None:
        kind = resource.meta.resource_type if resource.meta else None
        self._connection.execute(
            "INSERT INTO resources (tenant, id, type, document) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (tenant, id) DO UPDATE SET document = excluded.document",
            (self._tenant, resource.id, kind, resource.model_dump_json()),
        )


def _version(resource: Resource[Any]) -> int:
    found = _VERSION.fullmatch(resource.meta.version or "") if resource.meta else None
    return int(found[1]) if found else 0
