"""Subscriptions in the planner's file: the statements, on a connection that is given.

Every change has a number of its own, so that who knows the rows up to one reads only what came after.
A subscription that ended stays for a while as a row without filters, which tells those readers.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from factotum.planner.store_file import Schema

Filter = dict[str, Any]

SCHEMA: Schema = (
    (
        """
        CREATE TABLE subscriptions (
            tenant TEXT NOT NULL,
            run_id TEXT NOT NULL,
            filters_json TEXT,
            starting_since REAL,
            change INTEGER NOT NULL,
            PRIMARY KEY (tenant, run_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE UNIQUE INDEX subscriptions_by_change ON subscriptions (change)",
        "CREATE INDEX subscriptions_ended ON subscriptions (change) WHERE filters_json IS NULL",
    ),
)

# Ended subscriptions that are remembered. Who has missed more of them signals runs that are gone, once each.
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """What a run wants to hear.

    Attributes:
        filters: None: nothing any more.
        starting_since: when the planner set out to start the run, in seconds since the epoch; None once
            the run has subscribed by itself.
    """

    tenant: str
    run_id: str
    filters: list[Filter] | None
    starting_since: float | None
    change: int


def put(db: sqlite3.Connection, tenant: str, run_id: str, filters: list[Filter]) -> None:
    """Begins a subscription, or replaces its filters."""
    _write(db, "INSERT OR REPLACE", tenant, run_id, json.dumps(filters), None)


def put_before_start(db: sqlite3.Connection, tenant: str, run_id: str, filters: list[Filter], now: float) -> None:
    """Begins a subscription of a run that does not exist yet; nothing if the run is known, or was."""
    _write(db, "INSERT OR IGNORE", tenant, run_id, json.dumps(filters), now)


def end(db: sqlite3.Connection, tenant: str, run_id: str) -> None:
    """Ends a subscription; where there is none, it also keeps one from being put before the start."""
    _write(db, "INSERT OR REPLACE", tenant, run_id, None, None)
    db.execute(
        "DELETE FROM subscriptions "
        "WHERE filters_json IS NULL AND change <= (SELECT max(change) FROM subscriptions) - ?",
        (REMEMBERED,),
    )


def after(db: sqlite3.Connection, change: int) -> list[Row]:
    """The rows changed since, in the order of their changes."""
    columns = "tenant, run_id, filters_json, starting_since, change"
    query = f"SELECT {columns} FROM subscriptions WHERE change > ? ORDER BY change"  # noqa: S608
    return [
        Row(tenant, run_id, None if filters is None else json.loads(filters), since, number)
        for tenant, run_id, filters, since, number in db.execute(query, (change,))
    ]


def _write(
    db: sqlite3.Connection, insert: str, tenant: str, run_id: str, filters_json: str | None, since: float | None
) -> None:
    db.execute(
        f"{insert} INTO subscriptions (tenant, run_id, filters_json, starting_since, change) "  # noqa: S608
        "VALUES (?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM subscriptions))",
        (tenant, run_id, filters_json, since),
    )
