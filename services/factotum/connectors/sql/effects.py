"""What `sql.execute` has done, written into the database by the transaction that did it.

    tenant, key             of the effect
    arguments_sha256        of what it was asked to do
    result                  what was answered

So the row is there exactly if the changes are, whatever is killed. The row is the first that a transaction writes:
another one of the same key waits for it there, and then finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, DateTime, MetaData, String, Table, Text, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateTable

from factotum.sdk.errors import Conflict, Failed, Unavailable


@dataclass(frozen=True, slots=True)
class Key:
    tenant: str
    key: str
    arguments_sha256: str


class Effects:
    """The table of effects of one database."""

    def __init__(self, name: str) -> None:
        schema, _, bare = name.rpartition(".")
        self._table = Table(
            bare,
            MetaData(),
            Column("tenant", String(63), primary_key=True),
            Column("key", String(512), primary_key=True),
            Column("arguments_sha256", String(64), nullable=False),
            Column("result", Text, nullable=False),
            Column("done_at", DateTime(timezone=True), nullable=False),
            schema=schema or None,
        )

    @property
    def name(self) -> str:
        return self._table.fullname

    def written(self, connection: Connection) -> str:
        """Its name as it stands in a statement."""
        return connection.dialect.identifier_preparer.format_table(self._table)

    def begin(self, connection: Connection, key: Key, *, now: datetime) -> str | None:
        """The result of an effect that was carried out before; None for one that begins now.

        Raises `Failed` where the table is not there, `Conflict` where the key was another call's, and `Unavailable`
        where an attempt beside this one has just ended: the next finds out how.
        """
        columns = self._table.c
        chosen = select(columns.arguments_sha256, columns.result).where(
            columns.tenant == key.tenant, columns.key == key.key
        )
        try:
            row = connection.execute(chosen).one_or_none()
        except DBAPIError:
            self._missing(connection)
            raise
        if row is None:
            values = {"tenant": key.tenant, "key": key.key, "arguments_sha256": key.arguments_sha256}
            try:
                connection.execute(self._table.insert().values(**values, result="", done_at=now))
            except IntegrityError as error:
                raise Unavailable("another attempt at this change has just ended") from error
            return None
        if row.arguments_sha256 != key.arguments_sha256:
            raise Conflict(f"{self._table.fullname} has another change under this key")
        return str(row.result)

    def end(self, connection: Connection, key: Key, result: str) -> None:
        """Raises `Conflict` where the row that `begin` wrote is gone: the statements have touched it."""
        columns = self._table.c
        row = (columns.tenant == key.tenant) & (columns.key == key.key)
        if connection.execute(self._table.update().where(row).values(result=result)).rowcount != 1:
            raise Conflict(f"the statements change {self._table.fullname}, which is not theirs")

    def _missing(self, connection: Connection) -> None:
        connection.rollback()
        if inspect(connection).has_table(self._table.name, schema=self._table.schema):
            return
        made = " ".join(str(CreateTable(self._table).compile(dialect=connection.dialect)).split())
        raise Failed(f"the database has no {self._table.fullname}; make it with: {made}", effect_possible=False)
