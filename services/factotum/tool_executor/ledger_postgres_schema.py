"""The tables of the ledger in PostgreSQL, and how older ones become those of today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factotum.tool_executor.errors import LedgerUnavailable

if TYPE_CHECKING:
    from asyncpg import Connection

# One group of statements a version; a group that was ever released is never changed.
_VERSIONS = (
    (
        """
        CREATE TABLE factotum_effects (
            tenant text NOT NULL,
            key text NOT NULL,
            tool text NOT NULL,
            tool_version text NOT NULL,
            arguments_sha256 text NOT NULL,
            arguments_json text,
            run_id text NOT NULL, step text NOT NULL, iteration text NOT NULL, procedure text NOT NULL,
            event_source text NOT NULL, event_id text NOT NULL, "user" text NOT NULL,
            state text NOT NULL CHECK (state IN ('started', 'done', 'failed', 'ambiguous')),
            doubt boolean NOT NULL DEFAULT false,
            attempts integer NOT NULL,
            started_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            reason text NOT NULL DEFAULT '',
            observation bytea,
            reconciled boolean NOT NULL DEFAULT false,
            lease_owner text,
            lease_until timestamptz,
            PRIMARY KEY (tenant, key),
            CHECK ((state = 'done') = (observation IS NOT NULL))
        )
        """,
        "CREATE INDEX factotum_effects_by_time ON factotum_effects (tenant, started_at)",
        """
        CREATE INDEX factotum_effects_to_forget ON factotum_effects (updated_at)
            WHERE state IN ('done', 'failed') AND NOT doubt
        """,
        """
        CREATE TABLE factotum_outbox (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            message_key text NOT NULL,
            value bytea NOT NULL,
            traceparent text NOT NULL
        )
        """,
    ),
    # Not noted before. So taken, what may have been begun under any is asked for where that can be, and never repeated.
    ("ALTER TABLE factotum_effects ADD COLUMN idempotency text NOT NULL DEFAULT 'reconcile'",),
)

# Any number, as long as it is always the same one: the lock of those who bring the tables up to date.
_LOCK = 7_240_024


async def bring_up_to_date(db: Connection) -> None:
    """Makes what is missing, one executor at a time. Where nothing is, it takes no right to make tables.

    Raises `LedgerUnavailable` if the tables are of a later version, asyncpg's errors otherwise.
    """
    if await _version(db) == len(_VERSIONS):
        return
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        version = await _version(db)
        if version > len(_VERSIONS):
            raise LedgerUnavailable(f"its tables have version {version}, this program knows up to {len(_VERSIONS)}")
        for statements in _VERSIONS[version:]:
            for statement in statements:
                await db.execute(statement)
        if version == 0:
            await db.execute("CREATE TABLE factotum_ledger_version (version integer NOT NULL)")
            await db.execute("INSERT INTO factotum_ledger_version VALUES (0)")
        await db.execute("UPDATE factotum_ledger_version SET version = $1", len(_VERSIONS))


async def _version(db: Connection) -> int:
    # Not by to_regclass: it remembers, within a transaction, that there was no such table.
    query = "SELECT FROM pg_class WHERE relname = 'factotum_ledger_version' AND pg_table_is_visible(oid)"
    if not await db.fetchval(f"SELECT EXISTS ({query})"):
        return 0
    version: int = await db.fetchval("SELECT version FROM factotum_ledger_version")
    return version
