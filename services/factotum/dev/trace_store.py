"""Spans in SQLite, found by the run that they belong to."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factotum.runtime.telemetry import RUN_ID, TENANT

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    service TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    status TEXT NOT NULL,
    status_message TEXT NOT NULL,
    attributes TEXT NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spans_by_end ON spans (end_ns);
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    PRIMARY KEY (run_id, tenant, trace_id)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Span:
    """One span. Ids are lower-case hex, `parent_id` is empty for a root; times are nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    start_ns: int
    end_ns: int
    status: str
    status_message: str
    attributes: dict[str, Any]
    events: list[dict[str, Any]]


class TraceStore:
    """The spans of one database file. Safe for use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Opens the file, or makes it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def add(self, spans: Iterable[Span]) -> None:
        """Stores all of them or none. A span that is there already is replaced."""
        spans = list(spans)
        rows = [_row(span) for span in spans]
        runs = [
            (span.attributes[RUN_ID], str(span.attributes.get(TENANT, "")), span.trace_id)
            for span in spans
            if isinstance(span.attributes.get(RUN_ID), str)
        ]
        with self._lock, self._connection as database:
            database.execute("BEGIN")
            database.executemany("INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            database.executemany("INSERT OR IGNORE INTO runs VALUES (?, ?, ?)", runs)

    def of_run(self, run_id: str, tenant: str) -> list[Span]:
        """All spans of every trace in which a span names the run, and no other tenant; earliest first."""
        query = """
            SELECT * FROM spans WHERE trace_id IN (SELECT trace_id FROM runs WHERE run_id = ? AND tenant IN (?, ''))
            ORDER BY start_ns, end_ns DESC
        """
        with self._lock:
            rows = self._connection.execute(query, (run_id, tenant)).fetchall()
        return [_span(row) for row in rows]

    def forget_before(self, end_ns: int) -> None:
        """Drops the spans that ended before, and the runs none of whose spans are left."""
        with self._lock, self._connection as database:
            database.execute("BEGIN")
            database.execute("DELETE FROM spans WHERE end_ns < ?", (end_ns,))
            database.execute("DELETE FROM runs WHERE trace_id NOT IN (SELECT trace_id FROM spans)")

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._database is not None, "open() comes first"
        return self._database


def _span(row: sqlite3.Row) -> Span:
    return Span(**{**dict(row), "attributes": json.loads(row["attributes"]), "events": json.loads(row["events"])})


def _row(span: Span) -> tuple[object, ...]:
    return (
        *(span.trace_id, span.span_id, span.parent_id, span.name, span.kind, span.service),
        *(span.start_ns, span.end_ns, span.status, span.status_message),
        json.dumps(span.attributes, ensure_ascii=False),
        json.dumps(span.events, ensure_ascii=False),
    )
