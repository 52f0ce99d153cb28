"""SQLite as the sandbox keeps its state in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """An open database with `schema` in it, whose statements can be repeated.

    A commit returns after the change is on the disk. Statements commit themselves outside of
    `with connection:`, which is one transaction.
    """
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.executescript(schema)
    return connection
