"""The tables of the store of sources, and how older ones become those of today. The same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
    update,
)


class TablesNewer(Exception):
    """The tables are of a later version than this program knows; the message says what to do."""


_first, _second, _own = MetaData(), MetaData(), MetaData()

SOURCES = Table(
    "tool_sources",
    _first,
    Column("tenant", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("config_json", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("read_bytes", LargeBinary, nullable=False),
    Column("read_at", Float, nullable=False),
    Column("from_file", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
)
# One row: the number that the last change made.
CHANGES = Table("tool_sources_version", _first, Column("version", Integer, nullable=False))
# Systems of Python that a tenant does not have.
REMOVED = Table(
    "tool_sources_removed",
    _second,
    Column("tenant", Text, primary_key=True),
    Column("system", Text, primary_key=True),
)
# One row: how often the modules of Python were to be looked for anew.
REFRESHES = Table("tool_sources_refreshes", _second, Column("number", Integer, nullable=False))

# One row: which of the versions below the tables have.
_SCHEMA = Table("tool_sources_schema", _own, Column("version", Integer, nullable=False))


def _one(db: Connection) -> None:
    # Before versions were noted there were these tables already.
    _first.create_all(db)
    if db.execute(select(CHANGES.c.version)).first() is None:
        db.execute(insert(CHANGES).values(version=0))


def _two(db: Connection) -> None:
    _second.create_all(db)
    db.execute(insert(REFRESHES).values(number=0))


# One step a version; a step that was ever released is never changed, and says no more of the tables than was then.
VERSIONS: tuple[Callable[[Connection], None], ...] = (_one, _two)


def bring_up_to_date(db: Connection) -> None:
    """Makes what is missing, in the transaction that is open; one executor at a time. Where nothing is, it takes no
    right to make tables.

    Raises `TablesNewer`; SQLAlchemy's errors otherwise.
    """
    if _version(db) == len(VERSIONS):
        return
    if db.dialect.name == "postgresql":
        # CREATE TABLE IF NOT EXISTS of two executors that start together would collide.
        db.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('factotum.sources'))")
    version = _version(db)
    if version > len(VERSIONS):
        raise TablesNewer(
            f"its tables have version {version}, this program knows up to {len(VERSIONS)}: start the version of "
            "Factotum that made them, or one after it"
        )
    for step in VERSIONS[version:]:
        step(db)
    if version == 0:
        _own.create_all(db)
        db.execute(insert(_SCHEMA).values(version=0))
    db.execute(update(_SCHEMA).values(version=len(VERSIONS)))


def _version(db: Connection) -> int:
    if not inspect(db).has_table(_SCHEMA.name):
        return 0
    return int(db.execute(select(_SCHEMA.c.version)).scalar_one())
