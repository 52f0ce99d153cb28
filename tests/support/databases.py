"""Databases for tests of the sql connector, each empty but for the table of effects."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from factotum.connectors.sql.settings import Database, SqlSettings
from factotum.connectors.sql.tools import execute, query
from factotum.sdk.context import ToolContext
from tests.support.postgres import Cluster
from tests.support.tool_calls import tool_context

PASSWORD = "hunter2-and-more"
EFFECTS = (
    "CREATE TABLE factotum_effects (tenant VARCHAR(63) NOT NULL, key VARCHAR(512) NOT NULL, "
    "arguments_sha256 VARCHAR(64) NOT NULL, result TEXT NOT NULL, done_at TIMESTAMP NOT NULL, "
    "PRIMARY KEY (tenant, key))"
)
numbers = count()

# Statements that end when they are stopped: a read, and a change.
FOREVER = {
    "postgresql": "SELECT pg_sleep(60)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
}
LONG = {
    "postgresql": "INSERT INTO people (id, name) SELECT 7, 'eve' FROM pg_sleep(60)",
    "sqlite": f"INSERT INTO people (id, name) SELECT 7, 'eve' FROM ({FOREVER['sqlite']}) AS never",  # noqa: S608
}


@dataclass(frozen=True)
class Place:
    """One database of `kind`, empty but for the table of effects, with an operator's access."""

    kind: str
    url: str

    def sql(self, *lines: str) -> list[Sequence[Any]]:
        engine = create_engine(Database(url=self.url).parsed, poolclass=NullPool)
        with engine.begin() as connection:
            results = [connection.execute(text(line)) for line in lines]
            return list(results[-1]) if results[-1].returns_rows else []

    def settings(self, **more: Any) -> SqlSettings:
        given = {"url": self.url, "writable": True, "effects_table": "factotum_effects"}
        if self.kind == "postgresql":
            given["password"] = "secret://db"
        return SqlSettings(databases={"crm": Database.model_validate(given | more)})

    def context(self, *, key: str = "", **more: Any) -> ToolContext[SqlSettings]:
        return tool_context(self.settings(**more), key=key or f"key-{next(numbers)}", db=PASSWORD)

    async def query(self, sql: str, *, max_rows: int | None = None, **parameters: Any) -> list[dict[str, Any]]:
        return (await self.asked({"sql": sql, "parameters": parameters, "max_rows": max_rows})).rows

    async def asked(self, arguments: dict[str, Any], **more: Any) -> Any:
        read = query.arguments.model_validate({"database": "crm"} | arguments)
        return await query.function(read, self.context(**more))

    async def change(self, *lines: str | dict[str, Any], key: str = "", **more: Any) -> Any:
        given = [{"sql": line} if isinstance(line, str) else line for line in lines]
        arguments = execute.arguments.model_validate({"database": "crm", "statements": given})
        return await execute.function(arguments, self.context(key=key, **more))

    def people(self) -> list[str]:
        return [row[0] for row in self.sql("SELECT name FROM people ORDER BY name")]


def on_postgres(cluster: Cluster) -> Place:
    # Settings have no password in the URL.
    return Place("postgresql", str(make_url(cluster.url())._replace(password=None)))


def on_sqlite(folder: Path) -> Place:
    file = folder / "crm.db"
    sqlite3.connect(file).close()
    return Place("sqlite", f"sqlite:///{file}")


def values(*names: str) -> str:
    rows = ", ".join(f"({number}, '{name}')" for number, name in enumerate(names))
    return f"INSERT INTO people (id, name) VALUES {rows}"  # noqa: S608 - names of this file
