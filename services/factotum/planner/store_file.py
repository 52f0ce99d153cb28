"""The planner's SQLite file: one thread and one connection; several planners on one host may share it.

Each store that lives in it brings its own tables and the versions of them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from factotum.planner.errors import StoreUnavailable

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]
# The statements of each version of a store's tables, oldest first; a version that was ever released never changes.
Schema = Sequence[Sequence[str]]

# How long another planner's transaction is waited for.
LOCK_SECONDS = 5.0


class StoreFile:
    """Use as an async context manager: entering makes the file, and the tables it has not got.

    What `run` has returned survives a loss of power.

    Args:
        schemas: by the name of the store.
    """

    def __init__(self, path: Path, schemas: dict[str, Schema]) -> None:
        self._path = path
        self._schemas = schemas
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="planner-store")
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Raises `StoreUnavailable`."""
        try:
            self._connection = await self._submit(self._open)
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise self._unavailable(error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._submit(connection.close)
        self._thread.shutdown()

    async def run(self, work: Work[T]) -> T:
        """What `work` returns or raises, in a transaction; if it raises, nothing of it is written.

        Raises `StoreUnavailable` if SQLite refuses.
        """
        return await self._do("BEGIN IMMEDIATE", work)

    async def read(self, work: Work[T]) -> T:
        """As `run`, for what writes nothing: it waits for no other planner's transaction."""
        return await self._do("BEGIN", work)

    async def _do(self, begin: str, work: Work[T]) -> T:
        connection = self._connection
        if connection is None:
            raise StoreUnavailable(f"the store {self._path} is not open")
        try:
            return await self._submit(lambda: _transaction(connection, begin, work))
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    async def _submit(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._thread.submit(work))

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, isolation_level=None, timeout=LOCK_SECONDS, check_same_thread=False)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            _transaction(db, "BEGIN IMMEDIATE", self._bring_up_to_date)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _bring_up_to_date(self, db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE IF NOT EXISTS stores (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT")
        for name, schema in self._schemas.items():
            row = db.execute("SELECT version FROM stores WHERE name = ?", (name,)).fetchone()
            version = 0 if row is None else row[0]
            if version > len(schema):
                raise sqlite3.DatabaseError(f"{name} has version {version}, this program knows up to {len(schema)}")
            for statement in (statement for statements in schema[version:] for statement in statements):
                db.execute(statement)
            db.execute("INSERT OR REPLACE INTO stores (name, version) VALUES (?, ?)", (name, len(schema)))

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"the store {self._path} cannot be used: {error}")


def _transaction(db: sqlite3.Connection, begin: str, work: Work[T]) -> T:
    db.execute(begin)
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return result
