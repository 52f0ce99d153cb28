"""What is kept of each tenant's sources: how each was defined, what was read of it, and when.

One implementation for SQLite and PostgreSQL. Several executors may share a store: each change makes a new version
of it, by which the others see that there is something to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from factotum.tool_executor.sources.tables import CHANGES, REFRESHES, REMOVED, SOURCES, TablesNewer, bring_up_to_date
from factotum.tool_executor.write_ahead import write_ahead

T = TypeVar("T")

# A tenant and a system.
Key = tuple[str, str]

# How long another executor's transaction is waited for.
LOCK_SECONDS = 5.0


class StoreUnavailable(Exception):
    """The store of sources could not be read or written."""


class UnknownSource(LookupError):
    """The tenant has no source of this name."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A source as somebody asked for it.

    Attributes:
        config_json: the kind's configuration.
        document: what was given with it; empty: nothing was.
        from_file: the file of sources says so, and only it can change it.
    """

    tenant: str
    system: str
    kind: str
    config_json: str
    document: bytes = b""
    from_file: bool = False

    @property
    def key(self) -> Key:
        return self.tenant, self.system


@dataclass(frozen=True, slots=True)
class Stored:
    """A definition with what was read; `version` is the store's after it was put."""

    definition: Definition
    read: bytes
    read_at: datetime
    version: int = 0


@dataclass(frozen=True, slots=True)
class Python:
    """What is kept of the systems whose tools are functions of Python, which nobody can give over the wire.

    Attributes:
        refreshes: how often their modules were to be looked for anew.
        removed: those that a tenant does not have.
    """

    refreshes: int
    removed: frozenset[Key]


class SourceStore:
    """Use as an async context manager: entering makes the tables that are missing. What a method has returned is
    durable.

    Args:
        url: `sqlite:///…` or `postgresql://…`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sources")
        self._engine: Engine | None = None

    async def __aenter__(self) -> Self:
        """Raises `StoreUnavailable`."""
        try:
            self._engine = await self._submit(lambda: _opened(self._url))
        except (SQLAlchemyError, OSError, TablesNewer) as error:
            self._thread.shutdown()
            raise self._unavailable(error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await self._submit(engine.dispose)
        self._thread.shutdown()

    async def version(self) -> int:
        """Another number after every change; cheap to ask."""
        return await self._run(lambda db: int(db.execute(select(CHANGES.c.version)).scalar_one()))

    async def versions(self) -> dict[Key, int]:
        """Of each source, by tenant and system, the store's version when it was put."""
        query = select(SOURCES.c.tenant, SOURCES.c.system, SOURCES.c.version)
        return await self._run(lambda db: {(row.tenant, row.system): row.version for row in db.execute(query)})

    async def from_file(self) -> list[Key]:
        query = select(SOURCES.c.tenant, SOURCES.c.system).where(SOURCES.c.from_file)
        return await self._run(lambda db: [(row.tenant, row.system) for row in db.execute(query)])

    async def find(self, tenant: str, system: str) -> Stored | None:
        return await self._run(lambda db: _find(db, tenant, system))

    async def put(self, stored: Stored) -> Stored:
        """Keeps it in place of what there was; gives it with its version."""
        return await self._run(lambda db: _put(db, stored))

    async def remove(self, tenant: str, system: str) -> bool:
        """False if there is none."""
        return await self._run(lambda db: _remove(db, tenant, system))

    async def python(self) -> Python:
        return await self._run(
            lambda db: Python(
                refreshes=int(db.execute(select(REFRESHES.c.number)).scalar_one()),
                removed=frozenset((row.tenant, row.system) for row in db.execute(select(REMOVED))),
            )
        )

    async def python_refreshed(self) -> None:
        """Tells the other executors to look for modules of Python."""
        await self._run(_python_refreshed)

    async def python_removed(self, tenant: str, system: str, *, removed: bool) -> None:
        """Notes that a tenant does not have a system of Python, or has it again."""
        await self._run(lambda db: _python_removed(db, tenant, system, removed))

    async def _run(self, work: Callable[[Connection], T]) -> T:
        engine = self._engine
        if engine is None:
            raise StoreUnavailable("the store of sources is not open")

        def transaction() -> T:
            with engine.begin() as db:
                return work(db)

        try:
            return await self._submit(transaction)
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error

    async def _submit(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._thread.submit(work))

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        shown = _url(self._url).render_as_string(hide_password=True)
        # Not the statement and its values, which SQLAlchemy would add: a document has megabytes.
        cause = getattr(error, "orig", None) or error
        return StoreUnavailable(f"the store of sources {shown} cannot be used: {cause}")


def _url(text: str) -> URL:
    if text.startswith("sqlite:"):
        return make_url(text)
    _, _, rest = text.partition("://")
    return make_url(f"postgresql://{rest}").set(drivername="postgresql+psycopg")


def _opened(url: str) -> Engine:
    parsed = _url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed,
        pool_pre_ping=not sqlite,
        connect_args={"timeout": LOCK_SECONDS} if sqlite else {},
        hide_parameters=True,
    )
    if sqlite:
        _as_sqlite_should(engine)
    with engine.begin() as db:
        bring_up_to_date(db)
    return engine


def _as_sqlite_should(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _(connection: object, _: object) -> None:
        # SQLAlchemy's driver would otherwise begin transactions by itself, and too late.
        connection.isolation_level = None  # type: ignore[attr-defined]
        write_ahead(connection, LOCK_SECONDS)

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _next_version(db: Connection) -> int:
    # Waits for the other executor's transaction: from here on, changes come one after the other.
    db.execute(update(CHANGES).values(version=CHANGES.c.version + 1))
    return int(db.execute(select(CHANGES.c.version)).scalar_one())


def _find(db: Connection, tenant: str, system: str) -> Stored | None:
    query = select(SOURCES).where(SOURCES.c.tenant == tenant, SOURCES.c.system == system)
    row = db.execute(query).one_or_none()
    if row is None:
        return None
    definition = Definition(tenant, system, row.kind, row.config_json, row.document, row.from_file)
    return Stored(definition, row.read_bytes, datetime.fromtimestamp(row.read_at, UTC), row.version)


def _put(db: Connection, stored: Stored) -> Stored:
    version, it = _next_version(db), stored.definition
    db.execute(delete(SOURCES).where(SOURCES.c.tenant == it.tenant, SOURCES.c.system == it.system))
    db.execute(
        insert(SOURCES).values(
            tenant=it.tenant,
            system=it.system,
            kind=it.kind,
            config_json=it.config_json,
            document=it.document,
            read_bytes=stored.read,
            read_at=stored.read_at.timestamp(),
            from_file=it.from_file,
            version=version,
        )
    )
    return Stored(it, stored.read, stored.read_at, version)


def _remove(db: Connection, tenant: str, system: str) -> bool:
    removed = db.execute(delete(SOURCES).where(SOURCES.c.tenant == tenant, SOURCES.c.system == system)).rowcount
    if removed:
        _next_version(db)
    return bool(removed)


def _python_refreshed(db: Connection) -> None:
    _next_version(db)
    db.execute(update(REFRESHES).values(number=REFRESHES.c.number + 1))


def _python_removed(db: Connection, tenant: str, system: str, removed: bool) -> None:
    _next_version(db)
    db.execute(delete(REMOVED).where(REMOVED.c.tenant == tenant, REMOVED.c.system == system))
    if removed:
        db.execute(insert(REMOVED).values(tenant=tenant, system=system))
