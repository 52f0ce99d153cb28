"""How each kind of database is held to what a call may do. One that is not here is not served.

PostgreSQL  a read is a cursor in a transaction that is READ ONLY: DECLARE takes a SELECT or VALUES and nothing
            else, and a statement that is prepared is one statement
SQLite      a read opens the file read-only (mode=ro, PRAGMA query_only), and an authorizer refuses whatever is
            not reading: ATTACH, PRAGMA, the end of a transaction
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.pool import NullPool

from factotum.sdk.errors import Failed

CONNECT_SECONDS = 10
_SQLITE_STEPS = 1000
# Of the bytes of a result: a value, or a row that is read, may be so much longer.
_SQLITE_TIMES = 4
# A table's own definition is read as a row is.
_SQLITE_LEAST = 1_000_000
_SQLITE_PATTERN = 200
_ENGINES = 128

_password: ContextVar[str | None] = ContextVar("password", default=None)


class Kind(Protocol):
    """One kind of database. What it raises is the driver's or SQLAlchemy's."""

    def engine(self, url: URL, *, reading: bool, seconds: float, max_bytes: int) -> Engine:
        """Makes connections, each new, with the password that `signed_in` gives. Reaches nothing yet."""

    def begin(self, connection: Connection, *, reading: bool, seconds: float, stopped: Callable[[], bool]) -> None:
        """Begins the one transaction of a call: with `reading`, one in which the database changes nothing. A
        statement ends after `seconds`."""

    def guarded(self, connection: Connection, *, reading: bool, kept: str | None) -> Any:
        """A context in which the caller's own statements are carried out, and ours are not.

        Args:
            kept: a table that they may not change, where the database can hold them to that; `tally` shows it where
                it cannot.
        """

    def tally(self, connection: Connection, table: str) -> tuple[int, ...] | None:
        """How often this transaction has inserted into, updated and deleted from a table, named as in a statement;
        None where `guarded` keeps callers from it."""

    def interrupt(self, driver: Any) -> None:
        """Ends the statement that another thread waits for."""


class Postgres:
    def engine(self, url: URL, *, reading: bool, seconds: float, max_bytes: int) -> Engine:
        return _postgres_engine(url)

    def begin(self, connection: Connection, *, reading: bool, seconds: float, stopped: Callable[[], bool]) -> None:
        if reading:
            connection.execute(text("SET TRANSACTION READ ONLY"))
        limits = text(
            "SELECT set_config('statement_timeout', :limit, true),"
            " set_config('idle_in_transaction_session_timeout', :limit, true)"
        )
        connection.execute(limits, {"limit": str(int(seconds * 1000))})

    @contextmanager
    def guarded(self, connection: Connection, *, reading: bool, kept: str | None) -> Iterator[None]:
        yield

    def tally(self, connection: Connection, table: str) -> tuple[int, ...] | None:
        # Of the session since it last told its statistics, which it never does inside of a transaction.
        asked = text(
            "SELECT pg_stat_get_xact_tuples_inserted(oid), pg_stat_get_xact_tuples_updated(oid),"
            " pg_stat_get_xact_tuples_deleted(oid) FROM pg_class WHERE oid = CAST(:name AS regclass)"
        )
        return tuple(connection.execute(asked, {"name": table}).one())

    def interrupt(self, driver: Any) -> None:
        driver.cancel_safe(timeout=2.0)


class Sqlite:
    def engine(self, url: URL, *, reading: bool, seconds: float, max_bytes: int) -> Engine:
        return _sqlite_engine(url, reading, seconds, max_bytes)

    def begin(self, connection: Connection, *, reading: bool, seconds: float, stopped: Callable[[], bool]) -> None:
        if reading:
            connection.exec_driver_sql("PRAGMA query_only = ON")
        else:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        # The only clock that SQLite has. A step is an instruction of its machine.
        _driver(connection).set_progress_handler(lambda: int(stopped()), _SQLITE_STEPS)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    @contextmanager
    def guarded(self, connection: Connection, *, reading: bool, kept: str | None) -> Iterator[None]:
        allowed = _SQLITE_READS if reading else _SQLITE_READS | _SQLITE_CHANGES
        bare = None if kept is None else kept.rpartition(".")[2].lower()

        def authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
            denied = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _SQLITE_DENIED
            # Of a trigger's statements too, it is asked by the name of the table that they change.
            denied |= action in _SQLITE_CHANGES and (first or "").lower() == bare
            return sqlite3.SQLITE_OK if action in allowed and not denied else sqlite3.SQLITE_DENY

        driver = _driver(connection)
        driver.set_authorizer(authorize)
        try:
            yield
        finally:
            driver.set_authorizer(None)

    def tally(self, connection: Connection, table: str) -> tuple[int, ...] | None:
        return None

    def interrupt(self, driver: Any) -> None:
        driver.interrupt()


_SQLITE_READS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
# One leaves the database. Of the others one step may take as long as the product of what they are given is large, and
# within a step nothing stops it.
_SQLITE_DENIED = frozenset({"load_extension", "instr", "replace", "trim", "ltrim", "rtrim", "unhex"})
_SQLITE_CHANGES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})

_KINDS: dict[str, Kind] = {"postgresql": Postgres(), "sqlite": Sqlite()}
# What a kind above was made for: another driver holds to something else.
_DRIVERS = {"postgresql": "psycopg", "sqlite": "pysqlite"}


def kind_of(url: URL) -> Kind:
    """Raises `Failed` for a kind of database that cannot be held to reading."""
    name = url.get_backend_name()
    if name not in _KINDS:
        raise Failed(
            f"a database of {name} is not served: it is not known how to hold it to reading; "
            f"these are: {', '.join(sorted(_KINDS))}",
            effect_possible=False,
        )
    if url.get_driver_name() != _DRIVERS[name]:
        raise Failed(f"{name} is reached by {_DRIVERS[name]}, not {url.get_driver_name()}", effect_possible=False)
    return _KINDS[name]


@contextmanager
def signed_in(password: str | None) -> Iterator[None]:
    """Connections that this thread makes inside are made with this password: no engine keeps one."""
    token = _password.set(password)
    try:
        yield
    finally:
        _password.reset(token)


# What an engine finds out of its database, by half a dozen questions, is kept with it.
@lru_cache(maxsize=_ENGINES)
def _postgres_engine(url: URL) -> Engine:
    usual = {"connect_timeout": CONNECT_SECONDS, "application_name": "factotum"}
    given: dict[str, Any] = {name: value for name, value in usual.items() if name not in url.query}
    # Whatever the URL says. A statement that is prepared is one: "select 1; commit; …" is refused by the server.
    given |= {"prepare_threshold": 0, "autocommit": False}
    engine = _engine(url, connect_args=given, use_native_hstore=False)

    @event.listens_for(engine, "do_connect")
    def sign_in(dialect: object, record: object, positional: list[Any], named: dict[str, Any]) -> None:
        if (password := _password.get()) is not None:
            named["password"] = password

    return engine


@lru_cache(maxsize=_ENGINES)
def _sqlite_engine(url: URL, reading: bool, seconds: float, max_bytes: int) -> Engine:
    # Never made where it is not: a path that is wrong is an error.
    address = f"file:{quote(url.database or '')}?mode={'ro' if reading else 'rw'}"

    def connect() -> sqlite3.Connection:
        driver = sqlite3.connect(address, uri=True, timeout=seconds, isolation_level=None, check_same_thread=False)
        # What one step makes: between two, time is looked at.
        driver.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(_SQLITE_TIMES * max_bytes, _SQLITE_LEAST))
        driver.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _SQLITE_PATTERN)
        return driver

    return _engine(url, creator=connect)


def _engine(url: URL, **more: Any) -> Engine:
    # Values stay out of the errors' texts. A connection is for one call: none waits for the next tenant's.
    return create_engine(url, poolclass=NullPool, hide_parameters=True, **more)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
