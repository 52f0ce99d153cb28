"""The employees of every company and the messages that tell of their changes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from factotum.dev.sandbox import database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS companies (name TEXT PRIMARY KEY, last_id INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS employees (
    company TEXT NOT NULL,
    id INTEGER NOT NULL,
    email TEXT,
    fields TEXT NOT NULL,
    PRIMARY KEY (company, id),
    UNIQUE (company, email)
) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    company TEXT NOT NULL,
    webhook TEXT NOT NULL,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_by_due ON outbox (company, webhook, due);
"""


def connect(path: Path) -> sqlite3.Connection:
    return database.connect(path, _SCHEMA)


class EmailTaken(ValueError):
    """Another employee of the company has this work e-mail."""


class NoSuchEmployee(LookupError):
    """The company has no employee of this id."""


@dataclass(frozen=True, slots=True)
class Message:
    """One change on its way to one webhook."""

    id: int
    company: str
    webhook: str
    body: bytes
    attempts: int


class HrStore:
    """Each change and its messages to the company's webhooks are one transaction, on the disk on return."""

    def __init__(
        self, connection: sqlite3.Connection, webhooks: Mapping[str, list[str]], now: Callable[[], datetime]
    ) -> None:
        """`webhooks` has the names of each company's webhooks."""
        self._connection = connection
        self._webhooks = webhooks
        self._now = now

    def create(self, company: str, fields: Mapping[str, str | None]) -> str:
        """The new employee's id, one more than the company's last. Raises `EmailTaken`."""
        kept = {name: value for name, value in fields.items() if value is not None}
        with self._connection:
            self._connection.execute(
                "INSERT INTO companies VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET last_id = last_id + 1", (company,)
            )
            [id] = self._connection.execute("SELECT last_id FROM companies WHERE name = ?", (company,)).fetchone()
            self._put("INSERT INTO employees (email, fields, company, id) VALUES (?, ?, ?, ?)", company, id, kept)
            self._tell(company, str(id), "Created", sorted(kept), kept)
        return str(id)

    def read(self, company: str, id: str) -> dict[str, str]:
        """The fields that have a value. Raises `NoSuchEmployee`."""
        row = self._connection.execute(
            "SELECT fields FROM employees WHERE company = ? AND id = ?", (company, _number(id))
        ).fetchone()
        if row is None:
            raise NoSuchEmployee(id)
        fields: dict[str, str] = json.loads(row["fields"])
        return fields

    def update(self, company: str, id: str, changes: Mapping[str, str | None]) -> None:
        """Sets fields, None empties one; what stays as it was is no change. Raises `NoSuchEmployee`, `EmailTaken`."""
        with self._connection:
            before = self.read(company, id)
            after = {name: value for name, value in {**before, **changes}.items() if value is not None}
            changed = sorted(name for name in changes if before.get(name) != after.get(name))
            if changed:
                sql = "UPDATE employees SET email = ?, fields = ? WHERE company = ? AND id = ?"
                self._put(sql, company, _number(id), after)
                self._tell(company, id, "Updated", changed, after)

    def delete(self, company: str, id: str) -> None:
        """Raises `NoSuchEmployee`. The id is not given again."""
        with self._connection:
            self.read(company, id)
            self._connection.execute("DELETE FROM employees WHERE company = ? AND id = ?", (company, _number(id)))
            self._tell(company, id, "Deleted", [], {})

    def all(self, company: str) -> Iterable[tuple[str, dict[str, str]]]:
        """Every employee's id and fields, by id."""
        rows = self._connection.execute("SELECT id, fields FROM employees WHERE company = ? ORDER BY id", (company,))
        return [(str(row["id"]), json.loads(row["fields"])) for row in rows]

    def due(self, company: str, webhook: str, limit: int) -> list[Message]:
        """Messages to a webhook whose time has come, the longest due first."""
        rows = self._connection.execute(
            "SELECT id, company, webhook, body, attempts FROM outbox"
            " WHERE company = ? AND webhook = ? AND due <= ? ORDER BY due, id LIMIT ?",
            (company, webhook, self._now().timestamp(), limit),
        )
        return [Message(**row) for row in rows]

    def next_due(self, company: str, webhook: str) -> float | None:
        """Seconds until the next message to a webhook is due, None if none waits."""
        [due] = self._connection.execute(
            "SELECT min(due) FROM outbox WHERE company = ? AND webhook = ?", (company, webhook)
        ).fetchone()
        return None if due is None else max(0.0, due - self._now().timestamp())

    def delivered(self, message: Message) -> None:
        with self._connection:
            self._connection.execute("DELETE FROM outbox WHERE id = ?", (message.id,))

    def failed(self, message: Message, pause: float) -> None:
        """Counts the attempt; the message is due again after `pause` seconds."""
        with self._connection:
            self._connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, due = ? WHERE id = ?",
                (self._now().timestamp() + pause, message.id),
            )

    def _put(self, sql: str, company: str, id: int, fields: Mapping[str, str]) -> None:
        email = fields.get("workEmail")
        try:
            self._connection.execute(sql, (email.lower() if email else None, json.dumps(fields), company, id))
        except sqlite3.IntegrityError as error:
            raise EmailTaken(f"another employee has the work e-mail {email}") from error

    def _tell(self, company: str, id: str, action: str, changed: list[str], fields: Mapping[str, str]) -> None:
        now = self._now()
        entry: dict[str, Any] = {
            "id": id,
            "action": action,
            # To the microsecond: two changes to and fro within a second are not one message sent twice.
            "timestamp": now.isoformat().replace("+00:00", "Z"),
            "changedFields": changed,
            "fields": fields,
        }
        body = json.dumps({"employees": [entry]}).encode()
        for name in self._webhooks.get(company, []):
            self._connection.execute(
                "INSERT INTO outbox (company, webhook, body, due) VALUES (?, ?, ?, ?)",
                (company, name, body, now.timestamp()),
            )


def _number(id: str) -> int:
    # As written by `create`, and so that it fits an SQLite integer: "01" is nobody's.
    if not (id.isascii() and id.isdigit() and len(id) < 19 and str(int(id)) == id):
        raise NoSuchEmployee(id)
    return int(id)
