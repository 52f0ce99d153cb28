"""The tools `sql.databases`, `sql.tables`, `sql.query` and `sql.execute`.

A query is carried out in a transaction that the database itself holds to reading. A change is one transaction; where
the database has a table of effects (`effects`), it happens once, and elsewhere an interrupted one is for a person.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, CursorResult, Inspector, inspect
from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedForeignKeyConstraint
from sqlalchemy.engine.reflection import ObjectKind

from factotum.connectors.sql.arguments import (
    Change,
    Changed,
    Column,
    Databases,
    ForeignKey,
    Known,
    Nothing,
    Outcome,
    Query,
    Rows,
    Statement,
    Table,
    TableQuery,
    Tables,
)
from factotum.connectors.sql.effects import Effects, Key
from factotum.connectors.sql.kinds import kind_of
from factotum.connectors.sql.running import Transaction, carried_out
from factotum.connectors.sql.settings import Database, SqlSettings
from factotum.connectors.sql.statements import CHANGING, READING, bound
from factotum.connectors.sql.values import plain, table
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Conflict, Failed, InvalidArgument, NotFound, NotPermitted, Unavailable
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

_MOST_TABLES = 100
# Longer than a database's own limit and the time to connect and to stop it.
_TIMEOUT = 330.0
_AT_ONCE = 4
# Rows that are fetched ahead: what they weigh shows only then.
_BUFFER = 50
_ERRORS = (InvalidArgument, NotPermitted, NotFound, Unavailable, Failed)

connector = Connector("sql", settings=SqlSettings)
# What opens a transaction.
_tool = partial(connector.tool, timeout_seconds=_TIMEOUT, concurrency=_AT_ONCE)


@connector.tool(
    effect=Effect.NONE,
    permissions=("sql.read",),
    examples=[
        Example(
            title="Which databases there are",
            arguments={},
            output={
                "databases": [
                    {"name": "crm", "kind": "postgresql", "description": "Customers", "writable": False},
                ]
            },
        )
    ],
)
async def databases(arguments: Nothing, context: ToolContext[SqlSettings]) -> Databases:
    """List the databases that may be asked, by the names that calls use."""
    return Databases(
        databases=[
            Known(
                name=name,
                kind=database.parsed.get_backend_name(),
                description=database.description,
                writable=database.writable,
            )
            for name, database in sorted(context.settings.databases.items())
        ]
    )


@_tool(
    effect=Effect.NONE,
    permissions=("sql.read",),
    errors=_ERRORS,
    examples=[Example(title="The columns of one table", arguments={"database": "crm", "table": "customers"})],
)
async def tables(arguments: TableQuery, context: ToolContext[SqlSettings]) -> Tables:
    """Describe the tables and views of a database: columns, types, keys."""
    transaction = _transaction(arguments.database, context, reading=True)
    return await carried_out(transaction, lambda connection, _: _described(arguments, inspect(connection)))


@_tool(
    effect=Effect.NONE,
    permissions=("sql.read",),
    errors=_ERRORS,
    examples=[
        Example(
            title="Customers of two countries",
            arguments={
                "database": "crm",
                "sql": "SELECT id, name FROM customers WHERE country IN :countries AND since < :day",
                "parameters": {"countries": ["FI", "SE"], "day": "2026-01-01"},
            },
            output={"columns": ["id", "name"], "rows": [{"id": 7, "name": "Ada"}], "truncated": False},
        )
    ],
)
async def query(arguments: Query, context: ToolContext[SqlSettings]) -> Rows:
    """Read from a database by one SELECT; the database itself keeps it from changing anything."""
    database = _database(arguments.database, context)
    clause = bound(arguments.sql, arguments.parameters, words=READING)
    most = min(arguments.max_rows or database.max_rows, database.max_rows)

    def read(connection: Connection, transaction: Transaction) -> Rows:
        with transaction.callers(connection):
            streamed = connection.execution_options(stream_results=True, max_row_buffer=_BUFFER)
            result = streamed.execute(clause, arguments.parameters)
            return table(list(result.keys()), result, max_rows=most, max_bytes=database.max_bytes)

    return await carried_out(_transaction(arguments.database, context, reading=True), read)


# NONE is what is true of every database; `narrowed` says where more is.
@_tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.NONE,
    permissions=("sql.write",),
    errors=(*_ERRORS, Conflict),
    examples=[
        Example(
            title="Close an account and note why, both or neither",
            arguments={
                "database": "crm",
                "statements": [
                    {
                        "sql": "UPDATE accounts SET open = false WHERE id = :id",
                        "parameters": {"id": 7},
                        "expect_rows": 1,
                    },
                    {
                        "sql": "INSERT INTO notes (account, text) VALUES (:id, :text)",
                        "parameters": {"id": 7, "text": "closed by the customer"},
                    },
                ],
            },
            output={"results": [{"changed": 1, "returned": None}, {"changed": 1, "returned": None}]},
        )
    ],
)
async def execute(arguments: Change, context: ToolContext[SqlSettings]) -> Outcome:
    """Change data by INSERT, UPDATE, DELETE or MERGE: all statements or none, in one transaction."""
    database = _database(arguments.database, context)
    if not database.writable:
        raise NotPermitted(f"the database {arguments.database} is not to be changed: its settings lack writable: true")
    clauses = [bound(one.sql, one.parameters, words=CHANGING) for one in arguments.statements]
    key = Key(context.tenant, context.idempotency_key, hashlib.sha256(arguments.model_dump_json().encode()).hexdigest())
    effects = None if database.effects_table is None else Effects(database.effects_table)

    def change(connection: Connection, transaction: Transaction) -> Outcome:
        begun: tuple[int, ...] | None = None
        if effects is not None:
            earlier = effects.begin(connection, key, now=context.now())
            if earlier is not None:
                return Outcome.model_validate_json(earlier)
            begun = transaction.tally(connection, effects)
        results = []
        for clause, statement in zip(clauses, arguments.statements, strict=True):
            with transaction.callers(connection):
                results.append(_changed(connection.execute(clause, statement.parameters), statement, database))
        outcome = Outcome(results=results)
        if effects is not None:
            if transaction.tally(connection, effects) != begun:
                raise Conflict(f"the statements change {effects.name}, which is not theirs")
            effects.end(connection, key, outcome.model_dump_json())
        return outcome

    return await carried_out(_transaction(arguments.database, context, reading=False), change)


@execute.narrow
async def narrowed(arguments: Change, context: ToolContext[SqlSettings]) -> tuple[Effect, Idempotency]:
    """A database with a table of effects does nothing twice."""
    once = _database(arguments.database, context).effects_table is not None
    return Effect.UPDATE, Idempotency.NATIVE if once else Idempotency.NONE


def _changed(result: CursorResult[Any], statement: Statement, database: Database) -> Changed:
    returned = None
    if result.returns_rows:
        returned = table(list(result.keys()), result, max_rows=database.max_rows, max_bytes=database.max_bytes)
    # Some drivers count the rows of RETURNING only when all are fetched, or never.
    count = result.rowcount if result.rowcount >= 0 else None
    if returned is not None and not returned.truncated:
        count = len(returned.rows)
    if statement.expect_rows is not None and count != statement.expect_rows:
        told = "the database does not tell how many" if count is None else f"it is {count}"
        raise Conflict(f"{statement.expect_rows} rows were to be changed, and {told}: nothing was changed")
    return Changed(changed=count, returned=returned)


def _described(arguments: TableQuery, inspector: Inspector) -> Tables:
    schema = arguments.schema_name
    names = {*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)}
    with suppress(NotImplementedError):
        names.update(inspector.get_materialized_view_names(schema=schema))
    if arguments.table is not None:
        if arguments.table not in names:
            raise NotFound(f"the database {arguments.database} has no table or view {arguments.table!r}")
        names = {arguments.table}
    chosen = sorted(names)[:_MOST_TABLES]
    columns = inspector.get_multi_columns(schema=schema, filter_names=chosen, kind=ObjectKind.ANY)
    primary = inspector.get_multi_pk_constraint(schema=schema, filter_names=chosen, kind=ObjectKind.ANY)
    foreign = inspector.get_multi_foreign_keys(schema=schema, filter_names=chosen, kind=ObjectKind.ANY)
    described = [
        Table(
            name=name,
            columns=[_column(column) for column in columns.get((schema, name), [])],
            primary_key=list(key["constrained_columns"]) if (key := primary.get((schema, name))) else [],
            foreign_keys=[_foreign(key) for key in foreign.get((schema, name), [])],
        )
        for name in chosen
    ]
    return Tables(tables=described, truncated=len(names) > _MOST_TABLES)


def _foreign(key: ReflectedForeignKeyConstraint) -> ForeignKey:
    return ForeignKey(
        columns=key["constrained_columns"], table=key["referred_table"], table_columns=key["referred_columns"]
    )


def _column(column: ReflectedColumn) -> Column:
    return Column(
        name=column["name"],
        type=str(plain(column["type"])),
        nullable=column["nullable"],
        comment=column.get("comment"),
    )


def _database(name: str, context: ToolContext[SqlSettings]) -> Database:
    try:
        return context.settings.databases[name]
    except KeyError:
        known = ", ".join(sorted(context.settings.databases)) or "none"
        raise NotFound(f"there is no database {name!r}; these are: {known}") from None


def _transaction(name: str, context: ToolContext[SqlSettings], *, reading: bool) -> Transaction:
    database = _database(name, context)
    password = None if database.password is None else context.secret(database.password)
    kind_of(database.parsed)
    return Transaction(name, database, password, tenant=context.tenant, reading=reading)
