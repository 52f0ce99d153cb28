"""The ledger and the outbox in one SQLite file, the default: for one executor on one machine."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from factotum.sdk.spec import Idempotency
from factotum.tool_executor.calls import Origin
from factotum.tool_executor.group_commit import GroupCommit
from factotum.tool_executor.ledger import (
    Claim,
    Decision,
    Entry,
    Granted,
    Publication,
    Settlement,
    State,
    Taken,
    begun_under,
    decide,
    resolved,
)

# Times are seconds since the epoch: SQLite compares them as numbers.
# One group of statements a version of the file; a group that was ever released is never changed.
_SCHEMA = (
    (
        """
        CREATE TABLE IF NOT EXISTS effects (
            tenant TEXT NOT NULL,
            key TEXT NOT NULL,
            tool TEXT NOT NULL,
            tool_version TEXT NOT NULL,
            arguments_sha256 TEXT NOT NULL,
            run_id TEXT NOT NULL, step TEXT NOT NULL, iteration TEXT NOT NULL, procedure TEXT NOT NULL,
            event_source TEXT NOT NULL, event_id TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('started', 'done', 'failed', 'ambiguous')),
            attempts INTEGER NOT NULL,
            started_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            observation BLOB,
            reconciled INTEGER NOT NULL DEFAULT 0,
            lease_owner TEXT,
            lease_until REAL,
            PRIMARY KEY (tenant, key),
            CHECK ((state = 'done') = (observation IS NOT NULL))
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE INDEX IF NOT EXISTS effects_by_time ON effects (tenant, started_at)
        """,
        """
        CREATE TABLE IF NOT EXISTS outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            message_key TEXT NOT NULL,
            value BLOB NOT NULL,
            traceparent TEXT NOT NULL
        ) STRICT
        """,
    ),
    (
        "ALTER TABLE effects ADD COLUMN doubt INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE effects ADD COLUMN arguments_json TEXT",
        # Doubt was not noted before; of these it is not known that they ended without effect.
        "UPDATE effects SET doubt = 1 WHERE state IN ('started', 'ambiguous')",
    ),
    (
        "ALTER TABLE effects ADD COLUMN user TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX effects_to_forget ON effects (updated_at) WHERE state IN ('done', 'failed') AND doubt = 0",
    ),
    # Not noted before. So taken, what may have been begun under any is asked for where that can be, and never repeated.
    ("ALTER TABLE effects ADD COLUMN idempotency TEXT NOT NULL DEFAULT 'reconcile'",),
)

_FIND = "SELECT * FROM effects WHERE tenant = ? AND key = ?"
# Every read asks: of all columns, the look-up would take twice as long.
_POSSIBLE = "SELECT 1 FROM effects WHERE tenant = ? AND key = ? AND (doubt OR state <> 'failed')"


class SqliteLedger:
    """A `Ledger`. Use as an async context manager: entering opens the file and makes what is missing of it."""

    def __init__(self, path: Path, *, ambiguous_retry_seconds: float) -> None:
        self._file = GroupCommit(path, _SCHEMA)
        self._ambiguous_retry = ambiguous_retry_seconds

    async def __aenter__(self) -> Self:
        await self._file.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._file.close()

    async def claim(self, claim: Claim) -> Decision:
        return await self._file.run(lambda db: self._claim(db, claim))

    async def renew(self, tenant: str, key: str, owner: str, *, now: datetime, lease_until: datetime) -> bool:
        return await self._file.run(
            lambda db: bool(
                db.execute(
                    "UPDATE effects SET lease_until = ? WHERE tenant = ? AND key = ? AND lease_owner = ?",
                    (lease_until.timestamp(), tenant, key, owner),
                ).rowcount
            )
        )

    async def settle(self, settlement: Settlement) -> bool:
        return await self._file.run(lambda db: _settle(db, settlement))

    async def resolve(
        self,
        tenant: str,
        key: str,
        *,
        output_json: str | None,
        reason: str,
        now: datetime,
        publications: Sequence[Publication] = (),
    ) -> Entry:
        return await self._file.run(lambda db: _resolve(db, tenant, key, output_json, reason, now, publications))

    async def entry(self, tenant: str, key: str) -> Entry | None:
        row = await self._file.row(_FIND, (tenant, key))
        return None if row is None else _entry(row)

    async def effect_possible(self, tenant: str, key: str) -> bool:
        return await self._file.row(_POSSIBLE, (tenant, key)) is not None

    async def entries(self, tenant: str, *, states: Sequence[State], limit: int, run_id: str) -> list[Entry]:
        chosen = [state.value for state in states or State]
        marks = ", ".join("?" * len(chosen))
        query = (
            f"SELECT * FROM effects WHERE tenant = ? AND state IN ({marks}) AND (? = '' OR run_id = ?) "  # noqa: S608
            "ORDER BY started_at DESC, key LIMIT ?"
        )
        values = (tenant, *chosen, run_id, run_id, limit)
        return await self._file.run(lambda db: [_entry(row) for row in db.execute(query, values)], long=True)

    async def publish_later(self, publications: Sequence[Publication]) -> None:
        await self._file.run(lambda db: _put(db, publications))

    @asynccontextmanager
    async def taken(self, limit: int) -> AsyncIterator[Taken]:
        query = "SELECT id, message_key, value, traceparent FROM outbox ORDER BY id LIMIT ?"
        taken = Taken(
            await self._file.run(
                lambda db: [(row[0], Publication(row[1], row[2], row[3])) for row in db.execute(query, (limit,))]
            )
        )
        try:
            yield taken
        finally:
            if taken.published:
                numbers = [(number,) for number in taken.published]
                await self._file.run(lambda db: db.executemany("DELETE FROM outbox WHERE id = ?", numbers))

    async def forget(self, before: datetime, *, limit: int) -> int:
        # As the index has it, so that it is used.
        query = (
            "DELETE FROM effects WHERE (tenant, key) IN (SELECT tenant, key FROM effects "
            "WHERE state IN ('done', 'failed') AND doubt = 0 AND updated_at < ? ORDER BY updated_at LIMIT ?)"
        )
        return await self._file.run(lambda db: db.execute(query, (before.timestamp(), limit)).rowcount, long=True)

    def _claim(self, db: sqlite3.Connection, claim: Claim) -> Decision:
        # Most keys are new.
        if not claim.settle and _begun(db, claim):
            return decide(None, claim, ambiguous_retry_seconds=self._ambiguous_retry)
        entry = _find(db, claim.tenant, claim.key)
        decision = decide(entry, claim, ambiguous_retry_seconds=self._ambiguous_retry)
        if isinstance(decision, Granted) and entry is not None:
            _take_up(db, claim, decision, begun_under(entry, claim, decision))
        return decision


def _find(db: sqlite3.Connection, tenant: str, key: str) -> Entry | None:
    row = db.execute(_FIND, (tenant, key)).fetchone()
    return None if row is None else _entry(row)


def _begun(db: sqlite3.Connection, claim: Claim) -> bool:
    """Writes a new key. False, and nothing written, where there is an entry."""
    origin, now = claim.origin, claim.now.timestamp()
    written = db.execute(
        "INSERT INTO effects (tenant, key, tool, tool_version, arguments_sha256, arguments_json, run_id, step, "
        "iteration, procedure, event_source, event_id, user, idempotency, state, attempts, started_at, updated_at, "
        "lease_owner, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'started', 1, ?, ?, ?, ?) "
        "ON CONFLICT (tenant, key) DO NOTHING",
        (
            *(claim.tenant, claim.key, claim.tool, claim.tool_version, claim.arguments_sha256, claim.arguments_json),
            *(origin.run_id, origin.step, origin.iteration, origin.procedure, origin.event_source, origin.event_id),
            *(origin.user, claim.idempotency, now, now, claim.owner, claim.lease_until.timestamp()),
        ),
    )
    return written.rowcount == 1


def _take_up(db: sqlite3.Connection, claim: Claim, granted: Granted, idempotency: Idempotency) -> None:
    db.execute(
        "UPDATE effects SET state = 'started', attempts = ?, tool_version = ?, lease_owner = ?, lease_until = ?, "
        "updated_at = ?, doubt = ?, arguments_json = ?, arguments_sha256 = ?, idempotency = ? "
        "WHERE tenant = ? AND key = ?",
        (
            *(granted.attempt, claim.tool_version, claim.owner, claim.lease_until.timestamp()),
            *(claim.now.timestamp(), granted.doubt, claim.arguments_json, claim.arguments_sha256),
            *(idempotency, claim.tenant, claim.key),
        ),
    )


def _settle(db: sqlite3.Connection, settlement: Settlement) -> bool:
    changed = db.execute(
        "UPDATE effects SET state = ?, reason = ?, observation = ?, reconciled = ?, updated_at = ?, doubt = ?, "
        "arguments_json = CASE WHEN ? THEN arguments_json END, "
        "lease_owner = NULL, lease_until = NULL WHERE tenant = ? AND key = ? AND lease_owner = ?",
        (
            *(settlement.state.value, settlement.reason, settlement.observation, settlement.reconciled),
            *(settlement.now.timestamp(), settlement.doubt, settlement.state in (State.STARTED, State.AMBIGUOUS)),
            *(settlement.tenant, settlement.key, settlement.owner),
        ),
    ).rowcount
    if changed:
        _put(db, settlement.publications)
    return bool(changed)


def _resolve(
    db: sqlite3.Connection,
    tenant: str,
    key: str,
    output_json: str | None,
    reason: str,
    now: datetime,
    publications: Sequence[Publication],
) -> Entry:
    entry = resolved(_find(db, tenant, key), tenant, key, output_json=output_json, reason=reason, now=now)
    db.execute(
        "UPDATE effects SET state = ?, reason = ?, observation = ?, updated_at = ?, doubt = 0, arguments_json = NULL "
        "WHERE tenant = ? AND key = ?",
        (entry.state.value, reason, entry.observation, now.timestamp(), tenant, key),
    )
    _put(db, publications)
    return entry


def _put(db: sqlite3.Connection, publications: Sequence[Publication]) -> None:
    db.executemany(
        "INSERT INTO outbox (message_key, value, traceparent) VALUES (?, ?, ?)",
        [(one.message_key, one.value, one.traceparent) for one in publications],
    )


def _entry(row: sqlite3.Row) -> Entry:
    origin = Origin(
        run_id=row["run_id"],
        step=row["step"],
        iteration=row["iteration"],
        procedure=row["procedure"],
        event_source=row["event_source"],
        event_id=row["event_id"],
        user=row["user"],
    )
    lease: Any = row["lease_until"]
    return Entry(
        tenant=row["tenant"],
        key=row["key"],
        tool=row["tool"],
        tool_version=row["tool_version"],
        arguments_sha256=row["arguments_sha256"],
        origin=origin,
        idempotency=Idempotency(row["idempotency"]),
        state=State(row["state"]),
        attempts=row["attempts"],
        started_at=_moment(row["started_at"]),
        updated_at=_moment(row["updated_at"]),
        reason=row["reason"],
        observation=row["observation"],
        reconciled=bool(row["reconciled"]),
        lease_owner=row["lease_owner"],
        lease_until=None if lease is None else _moment(lease),
        doubt=bool(row["doubt"]),
        arguments_json=row["arguments_json"],
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
