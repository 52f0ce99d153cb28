"""One thread, one SQLite connection, and one fsync for all that is waiting.

A commit with synchronous=FULL waits for the disk. What arrives meanwhile is done in the next
transaction together, each piece within a savepoint of its own, and answered once that is committed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from factotum.tool_executor.errors import LedgerUnavailable

T = TypeVar("T")

LARGEST_BATCH = 256

Work = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    work: Work[T]
    future: Future[T]


class GroupCommit:
    """Transactions on a file. What `run` has returned survives a loss of power.

    Args:
        schema: the statements of each version of the file, oldest first; a file gets those it has not
            had. Those of the first must bear being repeated: files were once made without a version.
    """

    def __init__(self, path: Path, schema: Sequence[Sequence[str]]) -> None:
        self._path = path
        self._schema = schema
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._waiting: deque[_Waiting[Any]] = deque()
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Makes the file where it is missing. Raises `LedgerUnavailable`."""
        try:
            self._connection = await asyncio.wrap_future(self._thread.submit(self._open))
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise self._unavailable(error) from error

    async def close(self) -> None:
        """Does what is waiting, then closes."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.wrap_future(self._thread.submit(connection.close))
        self._thread.shutdown()

    async def run(self, work: Work[T]) -> T:
        """What `work` returns or raises; if it raises, nothing of it is written.

        Raises `LedgerUnavailable` if SQLite refuses or the file is not open.
        """
        connection = self._connection
        if connection is None:
            raise LedgerUnavailable("the ledger is not open")
        future: Future[T] = Future()
        self._waiting.append(_Waiting(work, future))
        self._thread.submit(self._work_off, connection)
        return await asyncio.wrap_future(future)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, isolation_level=None, timeout=5.0, check_same_thread=False)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            self._bring_up_to_date(db)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _bring_up_to_date(self, db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > len(self._schema):
            raise sqlite3.DatabaseError(f"it has version {version}, this program knows up to {len(self._schema)}")
        for statements in self._schema[version:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(self._schema)}")
        db.execute("COMMIT")

    def _work_off(self, db: sqlite3.Connection) -> None:
        batch: list[_Waiting[Any]] = []
        while self._waiting and len(batch) < LARGEST_BATCH:
            waiting = self._waiting.popleft()
            if waiting.future.set_running_or_notify_cancel():
                batch.append(waiting)
        if not batch:
            return
        try:
            db.execute("BEGIN IMMEDIATE")
            outcomes = [self._outcome(db, waiting) for waiting in batch]
            db.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            for waiting in batch:
                waiting.future.set_exception(self._unavailable(error))
            return
        for answer in outcomes:
            answer()

    def _outcome(self, db: sqlite3.Connection, waiting: _Waiting[T]) -> Callable[[], None]:
        """Does one piece; gives what tells its caller, to be called after the commit.

        Raises `sqlite3.Error` where the transaction as a whole is lost.
        """
        db.execute("SAVEPOINT piece")
        try:
            result = waiting.work(db)
        # Any exception is the caller's, who waits in another thread.
        except Exception as error:
            db.execute("ROLLBACK TO piece")
            db.execute("RELEASE piece")
            raised = self._unavailable(error) if isinstance(error, sqlite3.Error) else error
            return lambda: waiting.future.set_exception(raised)
        db.execute("RELEASE piece")
        return lambda: waiting.future.set_result(result)

    def _unavailable(self, error: Exception) -> LedgerUnavailable:
        return LedgerUnavailable(f"the ledger {self._path} cannot be used: {error}")
