"""Procedures in the planner's file: the statements, on a connection that is given.

A row of the tenant "" is of a folder and belongs to every tenant; `shelved` says that its file is still
there. A tenant's own row goes before one of a folder with the same version.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from factotum.planner.store_file import Schema

EVERY_TENANT = ""

SCHEMA: Schema = (
    (
        """
        CREATE TABLE procedures (
            tenant TEXT NOT NULL,
            procedure TEXT NOT NULL,
            version TEXT NOT NULL,
            text TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            registered_at REAL NOT NULL,
            used_at REAL,
            shelved INTEGER NOT NULL,
            PRIMARY KEY (tenant, procedure, version)
        ) STRICT, WITHOUT ROWID
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One version as it is kept; times in UTC.

    Attributes:
        tenant: whose it is; empty: of every tenant.
        used_at: when a run of it was first started; None: never.
    """

    tenant: str
    procedure: str
    version: str
    text: str
    sha256: str
    registered_at: datetime
    used_at: datetime | None
    shelved: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A version without its text."""

    tenant: str
    procedure: str
    version: str
    sha256: str


def find(db: sqlite3.Connection, tenant: str, procedure: str, version: str) -> Row | None:
    """The row of exactly this tenant."""
    query = "SELECT * FROM procedures WHERE tenant = ? AND procedure = ? AND version = ?"
    row = db.execute(query, (tenant, procedure, version)).fetchone()
    return None if row is None else _row(row)


def keys(db: sqlite3.Connection, tenant: str, procedure: str = "") -> list[Key]:
    """What a tenant has: its own, and what stands in the folders; with a name, of this procedure only."""
    query = (
        "SELECT tenant, procedure, version, sha256 FROM procedures "
        "WHERE tenant IN (?, ?) AND shelved AND (? = '' OR procedure = ?)"
    )
    return [Key(*row) for row in db.execute(query, (tenant, EVERY_TENANT, procedure, procedure))]


def put(db: sqlite3.Connection, row: Row) -> None:
    db.execute(
        "INSERT OR REPLACE INTO procedures (tenant, procedure, version, text, sha256, registered_at, used_at, shelved) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.tenant, row.procedure, row.version, row.text, row.sha256, row.registered_at.timestamp()),
            *(row.used_at.timestamp() if row.used_at else None, row.shelved),
        ),
    )


def clear_shelf(db: sqlite3.Connection) -> None:
    """No folder's file is there any more, as far as the rows say."""
    db.execute("UPDATE procedures SET shelved = 0 WHERE tenant = ?", (EVERY_TENANT,))


def mark_used(db: sqlite3.Connection, key: Key, now: datetime) -> None:
    """Notes the first run; later ones change nothing."""
    db.execute(
        "UPDATE procedures SET used_at = ? WHERE tenant = ? AND procedure = ? AND version = ? AND used_at IS NULL",
        (now.timestamp(), key.tenant, key.procedure, key.version),
    )


def tenants(db: sqlite3.Connection) -> list[str]:
    """Those that registered something of their own."""
    query = "SELECT DISTINCT tenant FROM procedures WHERE tenant != ? ORDER BY tenant"
    return [row[0] for row in db.execute(query, (EVERY_TENANT,))]


def _row(row: sqlite3.Row) -> Row:
    used = row["used_at"]
    return Row(
        tenant=row["tenant"],
        procedure=row["procedure"],
        version=row["version"],
        text=row["text"],
        sha256=row["sha256"],
        registered_at=datetime.fromtimestamp(row["registered_at"], UTC),
        used_at=None if used is None else datetime.fromtimestamp(used, UTC),
        shelved=bool(row["shelved"]),
    )
