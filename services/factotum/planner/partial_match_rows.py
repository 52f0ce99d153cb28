"""Partial matches in the planner's file: the statements, on a connection that is given.

A group is `open` until all its slots have an event, then `complete`, and `started` once a run has begun;
of a started one only the identities of its events are kept, so that a repeated delivery is recognised.
An `expired` one takes no more events and waits to be told of.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from factotum.planner.store_file import Schema

State = Literal["open", "complete", "started", "expired"]

SCHEMA: Schema = (
    (
        """
        CREATE TABLE match_groups (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            tenant TEXT NOT NULL,
            procedure TEXT NOT NULL,
            strategy TEXT NOT NULL,
            correlation_json TEXT NOT NULL,
            slots INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'complete', 'started', 'expired')),
            created_at REAL NOT NULL
        ) STRICT
        """,
        "CREATE INDEX match_groups_open ON match_groups (tenant, procedure, strategy, correlation_json, state, id)",
        "CREATE INDEX match_groups_by_age ON match_groups (created_at)",
        """
        CREATE TABLE match_events (
            group_id INTEGER NOT NULL REFERENCES match_groups (id),
            slot INTEGER NOT NULL,
            source TEXT NOT NULL,
            event_id TEXT NOT NULL,
            topic TEXT NOT NULL,
            partition INTEGER NOT NULL,
            position INTEGER NOT NULL,
            value BLOB,
            PRIMARY KEY (group_id, slot)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX match_events_by_identity ON match_events (event_id, source)",
    ),
)


@dataclass(frozen=True, slots=True)
class Strategy:
    """All events of what a procedure waits for.

    Attributes:
        digest: tells one set of filters from another under the procedure's name.
        slots: how many events it takes.
    """

    tenant: str
    procedure: str
    digest: str
    slots: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in a group, and where on Kafka it stood; without its bytes once the run has begun."""

    slot: int
    source: str
    event_id: str
    topic: str
    partition: int
    offset: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Group:
    """Events that belong together, in the order of the filters."""

    id: int
    tenant: str
    procedure: str
    slots: int
    state: State
    created_at: float
    entries: tuple[Entry, ...]


def canonical(value: Any) -> str:
    """One text for each JSON value; 1 and 1.0 are one value."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def group_of(db: sqlite3.Connection, strategy: Strategy, source: str, event_id: str) -> int | None:
    """The group in which an event stands already."""
    row = db.execute(
        "SELECT g.id FROM match_events e JOIN match_groups g ON g.id = e.group_id "
        "WHERE e.event_id = ? AND e.source = ? AND g.tenant = ? AND g.procedure = ? AND g.strategy = ?",
        (event_id, source, strategy.tenant, strategy.procedure, strategy.digest),
    ).fetchone()
    return None if row is None else int(row[0])


def open_group(db: sqlite3.Connection, strategy: Strategy, slot: int, keys: Mapping[str, Any]) -> int | None:
    """The oldest open group without an event in the slot whose values are these, as far as both have them."""
    where = (
        "FROM match_groups WHERE tenant = ? AND procedure = ? AND strategy = ? AND state = 'open' "
        "AND NOT EXISTS (SELECT 1 FROM match_events WHERE group_id = match_groups.id AND slot = ?)"
    )
    values = (strategy.tenant, strategy.procedure, strategy.digest, slot)
    # Usually all filters have the same keys: then an index finds the group.
    exact = f"SELECT id {where} AND correlation_json = ? ORDER BY id LIMIT 1"
    row = db.execute(exact, (*values, canonical(keys))).fetchone()
    if row is not None:
        return int(row[0])
    wanted = json.loads(canonical(keys))
    names = json.dumps(sorted(keys))
    others = (
        f"SELECT id, correlation_json {where} "  # noqa: S608
        "AND (SELECT json_group_array(key) FROM (SELECT key FROM json_each(correlation_json) ORDER BY key)) != ? "
        "ORDER BY id"
    )
    for number, text in db.execute(others, (*values, names.replace(", ", ","))):
        known = json.loads(text)
        if all(known[name] == wanted[name] for name in known.keys() & wanted.keys()):
            return int(number)
    return None


def make_group(db: sqlite3.Connection, strategy: Strategy, keys: Mapping[str, Any], now: float) -> int:
    made = db.execute(
        "INSERT INTO match_groups (tenant, procedure, strategy, correlation_json, slots, state, created_at) "
        "VALUES (?, ?, ?, ?, ?, 'open', ?)",
        (strategy.tenant, strategy.procedure, strategy.digest, canonical(keys), strategy.slots, now),
    )
    assert made.lastrowid is not None
    return made.lastrowid


def put(db: sqlite3.Connection, group_id: int, entry: Entry, keys: Mapping[str, Any]) -> None:
    """Adds an event to an open group, which knows its values too from now on; the last one completes it."""
    (text,) = db.execute("SELECT correlation_json FROM match_groups WHERE id = ?", (group_id,)).fetchone()
    db.execute(
        "INSERT INTO match_events (group_id, slot, source, event_id, topic, partition, position, value) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(group_id, entry.slot, entry.source, entry.event_id),
            *(entry.topic, entry.partition, entry.offset, entry.value),
        ),
    )
    db.execute(
        "UPDATE match_groups SET correlation_json = ?, "
        "state = iif((SELECT count(*) FROM match_events WHERE group_id = match_groups.id) = slots, 'complete', state) "
        "WHERE id = ?",
        (canonical({**keys, **json.loads(text)}), group_id),
    )


def read(db: sqlite3.Connection, group_id: int) -> Group:
    row = db.execute(
        "SELECT id, tenant, procedure, slots, state, created_at FROM match_groups WHERE id = ?", (group_id,)
    ).fetchone()
    entries = db.execute(
        "SELECT slot, source, event_id, topic, partition, position, value FROM match_events WHERE group_id = ? "
        "ORDER BY slot",
        (group_id,),
    )
    number, tenant, procedure, slots, state, created_at = row
    return Group(number, tenant, procedure, slots, state, created_at, tuple(Entry(*entry) for entry in entries))


def mark_started(db: sqlite3.Connection, group_id: int) -> None:
    db.execute("UPDATE match_groups SET state = 'started' WHERE id = ?", (group_id,))
    db.execute("UPDATE match_events SET value = NULL WHERE group_id = ?", (group_id,))


def remove(db: sqlite3.Connection, group_id: int) -> None:
    db.execute("DELETE FROM match_events WHERE group_id = ?", (group_id,))
    db.execute("DELETE FROM match_groups WHERE id = ?", (group_id,))


def expire(db: sqlite3.Connection, before: float) -> list[Group]:
    """The groups from before that led to no run, which take no more events; those that did are forgotten."""
    started = db.execute("SELECT id FROM match_groups WHERE created_at < ? AND state = 'started'", (before,)).fetchall()
    for (number,) in started:
        remove(db, number)
    db.execute("UPDATE match_groups SET state = 'expired' WHERE created_at < ? AND state != 'expired'", (before,))
    expired = db.execute("SELECT id FROM match_groups WHERE state = 'expired' ORDER BY id").fetchall()
    return [read(db, number) for (number,) in expired]
