"""The mails that were taken, as they came: one .eml each, and an index to find them by."""

from __future__ import annotations

import contextlib
import email
import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from pathlib import Path

from factotum.dev.sandbox import database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    message_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,
    subject TEXT NOT NULL,
    received_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_message_id ON messages (tenant, message_id);
"""


def connect(path: Path) -> sqlite3.Connection:
    return database.connect(path, _SCHEMA)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the archive knows of a message. `sender` and `recipients` are the envelope's."""

    id: str
    message_id: str
    sender: str
    recipients: list[str]
    subject: str
    received_at: str


class MailStore:
    """Every message of every tenant. Nothing is ever merged: two sends are two messages."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    def add(
        self, tenant: str, content: bytes, *, sender: str, recipients: Sequence[str], received_at: datetime, id: str
    ) -> None:
        """Keeps a message. It and its entry are on the disk when this returns.

        A crash in between leaves a file without entry, of a message that was never acknowledged.
        """
        folder = self._folder / tenant
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{id}.eml").open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for changed in (folder, folder.parent):
            _sync_directory(changed)
        message_id, subject = _headers(content)
        with self._connection:
            self._connection.execute(
                "INSERT INTO messages (tenant, id, message_id, sender, recipients, subject, received_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (tenant, id, message_id, sender, json.dumps(list(recipients)), subject, received_at.isoformat()),
            )

    def find(self, tenant: str, *, message_id: str | None, to: str | None) -> list[Entry]:
        """The tenant's messages for which all that is given holds, oldest first. Addresses in any case."""
        rows = self._connection.execute(
            "SELECT * FROM messages WHERE tenant = :tenant AND (:message_id IS NULL OR message_id = :message_id)"
            " AND (:to IS NULL OR EXISTS"
            "   (SELECT 1 FROM json_each(recipients) WHERE lower(json_each.value) = lower(:to)))"
            " ORDER BY number",
            {"tenant": tenant, "message_id": message_id, "to": to},
        )
        return [
            Entry(
                id=row["id"],
                message_id=row["message_id"],
                sender=row["sender"],
                recipients=json.loads(row["recipients"]),
                subject=row["subject"],
                received_at=row["received_at"],
            )
            for row in rows
        ]

    def content(self, tenant: str, id: str) -> bytes | None:
        """The message as it came, None if the tenant has no such one."""
        known = self._connection.execute("SELECT 1 FROM messages WHERE tenant = ? AND id = ?", (tenant, id)).fetchone()
        return (self._folder / tenant / f"{id}.eml").read_bytes() if known else None


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _headers(content: bytes) -> tuple[str, str]:
    """Message-ID and subject in plain words, empty where there is none."""
    message = email.message_from_string(content.decode("utf-8", "replace"))
    subject = str(message.get("Subject", ""))
    # What looks like an encoded word and is none is shown as it came.
    with contextlib.suppress(HeaderParseError, LookupError, UnicodeError):
        subject = str(make_header(decode_header(subject)))
    return str(message.get("Message-ID", "")).strip(), subject
