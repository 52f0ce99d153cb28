"""One SQLite connection, and one fsync for all that is waiting.

A commit with synchronous=FULL waits for the disk. What arrives meanwhile is done in the next
transaction together, and answered once that is committed. Where one of the pieces fails they are done
again, each within a savepoint of its own: that costs as much as the pieces do, and hardly one fails.

Only what may wait, for the disk or for another process's lock, is given to a thread. The pieces are a
few look-ups by key and are done where they are asked for: in a thread each of their statements would
have to win Python's lock back from a busy event loop, which takes milliseconds instead of microseconds.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from factotum.tool_executor.errors import LedgerUnavailable
from factotum.tool_executor.write_ahead import write_ahead

T = TypeVar("T")

LARGEST_BATCH = 128
# How long another process's transaction is waited for, and between two looks, in seconds.
LOCK_SECONDS, LOCK_PAUSE_SECONDS = 5.0, 0.01

Work = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    work: Work[T]
    long: bool
    future: asyncio.Future[T]


# What came of a piece: its result, or what it raised.
_Outcome = tuple[Any, Exception | None]


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
        self._working: asyncio.Task[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Makes the file where it is missing. Raises `LedgerUnavailable`."""
        try:
            self._connection, self._reader = await asyncio.wrap_future(self._thread.submit(self._open))
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise self._unavailable(error) from error

    async def close(self) -> None:
        """Does what is waiting, then closes."""
        if self._working is not None:
            await asyncio.wait({self._working})
        connections = self._connection, self._reader
        self._connection = self._reader = None
        for connection in connections:
            if connection is not None:
                await asyncio.wrap_future(self._thread.submit(connection.close))
        self._thread.shutdown()

    async def run(self, work: Work[T], *, long: bool = False) -> T:
        """What `work` returns or raises; if it raises, nothing of it is written. What was not begun when its
        caller went is not done. `long` work, such as a search, is done in the thread.

        Raises `LedgerUnavailable` if SQLite refuses or the file is not open.
        """
        connection = self._connection
        if connection is None:
            raise LedgerUnavailable("the ledger is not open")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(work, long, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work_off(connection))
        return await future

    async def row(self, query: str, values: Sequence[Any]) -> sqlite3.Row | None:
        """The first row of a look-up by key, as it was committed: it takes part in no transaction and waits for none.

        Raises `LedgerUnavailable` as `run` does.
        """
        if self._reader is None:
            raise LedgerUnavailable("the ledger is not open")
        try:
            found: sqlite3.Row | None = self._reader.execute(query, values).fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise self._unavailable(error) from error
            # Rare where there is a write-ahead log: another process recovers it, or closes the file.
            return await self.run(lambda db: db.execute(query, values).fetchone())
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        return found

    def _open(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = self._connected()
        try:
            self._prepare(db)
            reader = self._connected()
        except sqlite3.Error:
            db.close()
            raise
        reader.execute("PRAGMA query_only = 1")
        reader.execute("PRAGMA busy_timeout = 0")
        return db, reader

    def _connected(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=LOCK_SECONDS, check_same_thread=False)
        db.row_factory = sqlite3.Row
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        write_ahead(db, LOCK_SECONDS)
        self._bring_up_to_date(db)
        # From here on whoever meets a lock comes again.
        db.execute("PRAGMA busy_timeout = 0")

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

    async def _work_off(self, db: sqlite3.Connection) -> None:
        """One transaction after the other, until nobody waits."""
        while self._waiting:
            # Who was just answered may ask for more at once: those come into this transaction, not the next.
            await asyncio.sleep(0)
            batch: list[_Waiting[Any]] = []
            try:
                await self._begin(db)
                outcomes = await self._carried_out(db, batch)
                await self._in_thread(db.execute, "COMMIT")
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    await self._in_thread(db.execute, "ROLLBACK")
                if not batch:  # those who would have been served by it
                    batch.extend(self._waiting)
                    self._waiting.clear()
                outcomes = [(None, self._unavailable(error)) for _ in batch]
            for waiting, (result, failure) in zip(batch, outcomes, strict=True):
                if waiting.future.done():
                    continue
                if failure is None:
                    waiting.future.set_result(result)
                else:
                    waiting.future.set_exception(failure)
        self._working = None

    async def _begin(self, db: sqlite3.Connection) -> None:
        """Waits for another process's transaction, not in a thread: there is none, as a rule."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOCK_SECONDS
        while True:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or loop.time() > deadline:
                    raise
                await asyncio.sleep(LOCK_PAUSE_SECONDS)
            else:
                return

    async def _carried_out(self, db: sqlite3.Connection, batch: list[_Waiting[Any]]) -> list[_Outcome]:
        """Takes pieces into the batch, as many as wait by now."""
        outcomes: list[_Outcome] = []
        try:
            while self._waiting and len(batch) < LARGEST_BATCH:
                waiting = self._waiting.popleft()
                if waiting.future.done():  # its caller is gone
                    continue
                batch.append(waiting)
                outcomes.append((await self._done(waiting, waiting.work, db), None))
        # Whatever it is: the second time it is told to the one whose piece it is of.
        except Exception:
            await self._in_thread(db.execute, "ROLLBACK")
            await self._begin(db)
            outcomes = [await self._done(waiting, partial(self._outcome, waiting.work), db) for waiting in batch]
        return outcomes

    async def _done(self, waiting: _Waiting[Any], work: Work[T], db: sqlite3.Connection) -> T:
        return await self._in_thread(work, db) if waiting.long else work(db)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _outcome(self, work: Work[Any], db: sqlite3.Connection) -> _Outcome:
        """Does one piece. Raises `sqlite3.Error` where the transaction as a whole is lost."""
        db.execute("SAVEPOINT piece")
        try:
            result = work(db)
        # Any exception is the caller's.
        except Exception as error:
            db.execute("ROLLBACK TO piece")
            db.execute("RELEASE piece")
            return None, self._unavailable(error) if isinstance(error, sqlite3.Error) else error
        db.execute("RELEASE piece")
        return result, None

    def _unavailable(self, error: Exception) -> LedgerUnavailable:
        return LedgerUnavailable(f"the ledger {self._path} cannot be used: {error}")
