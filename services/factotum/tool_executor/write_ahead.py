"""SQLite's write-ahead log, also where several processes open a new file in the same moment."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

_POLL_SECONDS = 0.02


def write_ahead(connection: Any, patience: float) -> None:
    """Puts the file of a SQLite connection into WAL mode; every commit is on the disk before it is answered.

    Raises `sqlite3.OperationalError` if others are at it for longer than `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # Of two who change the mode at once SQLite lets neither wait for the other.
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
    connection.execute("PRAGMA synchronous = FULL")
