"""The sql connector on PostgreSQL and on SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from factotum.connectors.sql import kinds, statements, tools
from factotum.connectors.sql.settings import Database, SqlSettings
from factotum.connectors.sql.tools import connector, execute, narrowed, query, tables
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Cancelled,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    ToolError,
    Unavailable,
)
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.testing import World, check_tool
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.postgres import Cluster, postgres
from tests.support.tool_calls import closed_port, tool_context

PASSWORD = "hunter2-and-more"
EFFECTS = (
    "CREATE TABLE factotum_effects (tenant VARCHAR(63) NOT NULL, key VARCHAR(512) NOT NULL, "
    "arguments_sha256 VARCHAR(64) NOT NULL, result TEXT NOT NULL, done_at TIMESTAMP NOT NULL, "
    "PRIMARY KEY (tenant, key))"
)
_numbers = count()


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
        return tool_context(self.settings(**more), key=key or f"key-{next(_numbers)}", db=PASSWORD)

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


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["postgresql", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made = on_postgres(request.getfixturevalue("cluster")) if request.param == "postgresql" else on_sqlite(tmp_path)
    made.sql(EFFECTS, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER)")
    return made


@pytest.fixture
def pg(cluster: Cluster) -> Place:
    made = on_postgres(cluster)
    made.sql(EFFECTS, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER)")
    return made


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


# Reading


async def test_rows_by_parameters(place: Place) -> None:
    place.sql(values("ada", "bob", "cyd"))
    assert await place.query("SELECT name FROM people WHERE id > :id ORDER BY id", id=0) == [
        {"name": "bob"},
        {"name": "cyd"},
    ]
    assert await place.query("SELECT id FROM people WHERE name IN :names ORDER BY id", names=["ada", "cyd"]) == [
        {"id": 0},
        {"id": 2},
    ]
    assert await place.query("SELECT id FROM people WHERE name = :name", name="x' OR 'a' = 'a") == []
    assert await place.query("SELECT 1 AS one; -- and no more") == [{"one": 1}]
    assert await place.query("-- who?\n/* all */ SELECT '100%' AS share FROM people WHERE id = 0") == [
        {"share": "100%"}
    ]


async def test_a_result_is_cut_at_its_limits(place: Place) -> None:
    place.sql(values(*(f"name-{number}" for number in range(50))))
    cut = await place.asked({"sql": "SELECT * FROM people", "max_rows": 3})
    assert (len(cut.rows), cut.truncated) == (3, True)
    assert not (await place.asked({"sql": "SELECT * FROM people", "max_rows": 50})).truncated
    assert (await place.asked({"sql": "SELECT * FROM people", "max_rows": 60}, max_rows=2)).truncated
    cut = await place.asked({"sql": "SELECT * FROM people"}, max_bytes=200)
    assert (0 < len(cut.rows) < 10, cut.truncated) == (True, True)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM people",
        "SELECT 1; DELETE FROM people",
        "SELECT 1; COMMIT; DELETE FROM people",
        "COMMIT",
        "/* SELECT */ DELETE FROM people",
        "/* /* */ SELECT */ DELETE FROM people",
        "/*! DELETE FROM people */",
        "WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone",
        "WITH n AS (SELECT 1) DELETE FROM people",
        "SELECT * INTO copied FROM people",
        "SELECT name FROM people WHERE id = :id",
        "SELECT id AS x, name AS x FROM people",
        "SELEC 1",
        "SELECT * FROM nowhere",
        "(",
    ],
)
async def test_what_is_not_one_select_is_refused(place: Place, sql: str) -> None:
    place.sql(values("ada"))
    with pytest.raises((InvalidArgument, NotPermitted)) as raised:
        await place.query(sql)
    assert not raised.value.effect_possible
    assert place.people() == ["ada"]


@pytest.mark.parametrize("sql", ["DELETE FROM people", "INSERT INTO people VALUES (7, 'eve', 1)", "DROP TABLE people"])
async def test_the_database_itself_holds_a_query_to_reading(
    place: Place, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.sql(values("ada"))
    monkeypatch.setattr(tools, "READING", statements.READING | {"DELETE", "INSERT", "DROP", "SET", "PRAGMA"})
    with pytest.raises((InvalidArgument, NotPermitted)):
        await place.query(sql)
    assert place.people() == ["ada"]


async def test_a_function_that_writes_writes_nothing_in_a_query(pg: Place) -> None:
    pg.sql(
        values("ada"),
        "CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM people; RETURN 1; END $$",
        "CREATE FUNCTION slyer() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM people; RETURN 1; END $$",
        "CREATE SEQUENCE numbers",
    )
    for sql in ("SELECT sly()", "SELECT slyer()", "SELECT nextval('numbers')"):
        with pytest.raises(ToolError):
            await pg.query(sql)
    assert pg.people() == ["ada"]


async def test_a_query_leaves_the_file_it_is_of(tmp_path: Path) -> None:
    place, other = on_sqlite(tmp_path), tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE secrets AS SELECT 1 AS x")
    for change in (
        f"SELECT load_extension('{other}')",
        "SELECT * FROM pragma_database_list",
    ):
        with pytest.raises((NotPermitted, InvalidArgument)):
            await place.query(change)
    with pytest.raises(InvalidArgument):
        await place.change(f"ATTACH DATABASE '{other}' AS other")


async def test_a_file_is_opened_for_reading_only(tmp_path: Path) -> None:
    place = on_sqlite(tmp_path)
    engine = kinds.Sqlite().engine(Database(url=place.url).parsed, reading=True, seconds=1)
    with engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.exec_driver_sql("CREATE TABLE x (y)")


async def test_a_url_cannot_let_go_of_the_transaction(pg: Place) -> None:
    loose = Place("postgresql", f"{pg.url}&autocommit=true&prepare_threshold=5")
    with pytest.raises(InvalidArgument):
        await loose.change("INSERT INTO people (id, name) VALUES (7, 'eve'); COMMIT")
    with pytest.raises(Conflict):
        await loose.change(values("ada"), {"sql": "UPDATE people SET age = 1", "expect_rows": 7})
    assert pg.people() == []


async def test_values_that_json_has_no_form_for(pg: Place) -> None:
    (row,) = await pg.query(
        "SELECT 1.50::numeric AS price, DATE '2026-02-03' AS day, TIMESTAMPTZ '2026-02-03 04:05:06+00' AS moment,"
        " 'NaN'::float8 AS nothing, '\\x00ff'::bytea AS bytes, 9007199254740993 AS large, 7 AS small,"
        " '0e37df36-f698-11e6-8dd4-cb9ced3df976'::uuid AS id, ARRAY[1, 2] AS list, '{\"a\": [1]}'::jsonb AS json,"
        " INTERVAL '90 seconds' AS span, NULL AS none, true AS yes"
    )
    assert row == {
        "price": "1.50",
        "day": "2026-02-03",
        "moment": "2026-02-03T04:05:06+00:00",
        "nothing": "nan",
        "bytes": "AP8=",
        "large": "9007199254740993",
        "small": 7,
        "id": "0e37df36-f698-11e6-8dd4-cb9ced3df976",
        "list": [1, 2],
        "json": {"a": [1]},
        "span": "PT90S",
        "none": None,
        "yes": True,
    }


@pytest.mark.parametrize("value", [10**100, "a\0b", "\ud800"])
async def test_a_value_that_the_database_does_not_take(place: Place, value: Any) -> None:
    if (place.kind, value) in (("sqlite", "a\0b"), ("postgresql", 10**100)):
        # It takes this one.
        assert (
            await place.query("SELECT id FROM people WHERE CAST(id AS TEXT) = CAST(:value AS TEXT)", value=value) == []
        )
        return
    with pytest.raises(InvalidArgument):
        await place.query("SELECT id FROM people WHERE id = :value", value=value)


async def test_what_stands_in_the_database(place: Place) -> None:
    view = "MATERIALIZED VIEW" if place.kind == "postgresql" else "VIEW"
    place.sql(
        "CREATE TABLE pets (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES people (id))",
        f"CREATE {view} names AS SELECT name FROM people",  # noqa: S608 - one of two words
    )
    found = await tables.function(tables.arguments(database="crm"), place.context())
    assert [table.name for table in found.tables] == ["factotum_effects", "names", "people", "pets"]
    assert [column.name for column in found.tables[1].columns] == ["name"]
    pets = found.tables[-1]
    assert [(column.name, column.type, column.nullable) for column in pets.columns][1:] == [("owner", "INTEGER", False)]
    assert (pets.primary_key, pets.foreign_keys[0].table) == (["id"], "people")
    with pytest.raises(NotFound, match="nowhere"):
        await tables.function(tables.arguments(database="crm", table="nowhere"), place.context())
    with pytest.raises(NotFound, match="these are: crm"):
        await tables.function(tables.arguments(database="hr"), place.context())


# Changing


async def test_statements_are_carried_out_all_or_none(place: Place) -> None:
    outcome = await place.change(
        {
            "sql": "INSERT INTO people (id, name) VALUES (:id, :name) RETURNING id",
            "parameters": {"id": 1, "name": "ada"},
        },
        {"sql": "UPDATE people SET age = :age", "parameters": {"age": 36}, "expect_rows": 1},
    )
    assert outcome.model_dump()["results"] == [
        {"changed": 1, "returned": {"columns": ["id"], "rows": [{"id": 1}], "truncated": False}},
        {"changed": 1, "returned": None},
    ]
    for last in (
        {"sql": "UPDATE people SET age = 1", "expect_rows": 3},
        "INSERT INTO people (id, name) VALUES (1, 'twice')",
        "INSERT INTO people (id, name) VALUES (2, 'ok'); COMMIT",
        "UPDATE nowhere SET x = 1",
        "COMMIT",
        "DROP TABLE people",
        "DELETE FROM factotum_effects",
        "SELECT 1",
    ):
        with pytest.raises((Conflict, InvalidArgument, NotPermitted)) as raised:
            await place.change("INSERT INTO people (id, name) VALUES (7, 'eve')", last)
        assert not raised.value.effect_possible
        assert place.people() == ["ada"]


async def test_a_change_happens_once_by_its_key(place: Place) -> None:
    adding = "INSERT INTO people (id, name) SELECT count(*), 'ada' FROM people"
    first = await place.change(adding, key="one")
    assert await place.change(adding, key="one") == first
    assert place.people() == ["ada"]
    with pytest.raises(Conflict, match="another change under this key"):
        await place.change("DELETE FROM people", key="one")
    await place.change(adding, key="two")
    assert place.people() == ["ada", "ada"]


async def test_of_two_attempts_at_once_one_changes(place: Place) -> None:
    adding = "INSERT INTO people (id, name) SELECT count(*), 'ada' FROM people"
    ended = await asyncio.gather(*(place.change(adding, key="one") for _ in range(4)), return_exceptions=True)
    assert {type(one) for one in ended} <= {execute.output, Unavailable}
    assert place.people() == ["ada"]


async def test_without_its_table_a_change_says_how_to_make_it(place: Place) -> None:
    place.sql("DROP TABLE factotum_effects")
    with pytest.raises(Failed) as raised:
        await place.change(values("ada"))
    assert not raised.value.effect_possible
    place.sql(raised.value.message.partition("make it with: ")[2])
    await place.change(values("ada"))
    assert place.people() == ["ada"]


async def test_a_database_that_is_not_writable(place: Place) -> None:
    with pytest.raises(NotPermitted, match="writable"):
        await place.change(values("ada"), writable=False, effects_table=None)


async def test_a_right_that_the_user_lacks(pg: Place) -> None:
    reader = f"reader_{next(_numbers)}"
    schema = pg.sql("SELECT current_schema")[0][0]
    pg.sql(
        f"CREATE ROLE {reader} LOGIN",
        f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
        f"GRANT ALL ON factotum_effects TO {reader}",
    )
    lesser = Place("postgresql", pg.url.replace("tester@", f"{reader}@"))
    with pytest.raises(NotPermitted, match="permission denied"):
        await lesser.change(values("ada"))


async def test_a_password_that_is_wrong(pg: Place) -> None:
    locked = f"locked_{next(_numbers)}"
    folder = parse_qs(urlsplit(pg.url).query)["host"][0]
    rules = Path(folder) / "data/pg_hba.conf"
    rules.write_text(f"local all {locked} scram-sha-256\n{rules.read_text()}")
    pg.sql(f"CREATE ROLE {locked} LOGIN PASSWORD '{PASSWORD}'", "SELECT pg_reload_conf()")
    other = Place("postgresql", pg.url.replace("tester@", f"{locked}@"))
    assert await other.query("SELECT 1 AS x") == [{"x": 1}]
    context = replace(other.context(), secret=lambda _: "wrong")
    with pytest.raises(NotPermitted, match="authentication failed") as raised:
        await query.function(query.arguments(database="crm", sql="SELECT 1"), context)
    assert not raised.value.effect_possible


async def test_only_with_a_table_of_effects_a_change_may_be_repeated(place: Place) -> None:
    arguments = execute.arguments.model_validate({"database": "crm", "statements": [{"sql": "DELETE FROM people"}]})
    assert await narrowed(arguments, place.context()) == (Effect.UPDATE, Idempotency.NATIVE)
    assert await narrowed(arguments, place.context(effects_table=None)) == (Effect.UPDATE, Idempotency.NONE)


# Time, absence, interruption

FOREVER = {
    "postgresql": "SELECT pg_sleep(60)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
}


LONG = {
    "postgresql": "INSERT INTO people (id, name) SELECT 7, 'eve' FROM pg_sleep(60)",
    "sqlite": f"INSERT INTO people (id, name) SELECT 7, 'eve' FROM ({FOREVER['sqlite']}) AS never",  # noqa: S608
}


async def test_a_statement_ends_when_its_time_is_up(place: Place) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable, match="took longer") as raised:
        await place.asked({"sql": FOREVER[place.kind]}, seconds=0.3)
    assert not raised.value.effect_possible
    with pytest.raises(Unavailable, match="took longer"):
        await place.change(values("ada"), LONG[place.kind], seconds=0.3)
    assert time.monotonic() - started < 3
    assert place.people() == []


async def test_a_cancelled_change_ends_in_the_server_and_leaves_nothing(place: Place) -> None:
    task = asyncio.create_task(place.change(values("ada"), LONG[place.kind]))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(Cancelled) as raised:
        await task
    assert time.monotonic() - started < 2
    assert not raised.value.effect_possible
    if place.kind == "postgresql":
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'factotum' AND state = 'active'"
        assert place.sql(asked)[0][0] == 0
    assert place.people() == []


async def test_a_database_that_is_away(place: Place) -> None:
    url = {"postgresql": f"postgresql://tester@127.0.0.1:{closed_port()}/x", "sqlite": "sqlite:////nowhere/x.db"}[
        place.kind
    ]
    for call in (
        lambda: place.asked({"sql": "SELECT 1"}, url=url),
        lambda: place.change("DELETE FROM people", url=url),
    ):
        with pytest.raises(Unavailable) as raised:
            await call()
        assert not raised.value.effect_possible
        assert PASSWORD not in raised.value.message


async def test_a_kind_that_cannot_be_held_to_reading() -> None:
    settings = SqlSettings(databases={"crm": Database(url="oracle://x@host/x")})
    with pytest.raises(Failed, match="not served"):
        await query.function(query.arguments(database="crm", sql="SELECT 1"), tool_context(settings))


async def test_a_server_that_goes_away_meanwhile_has_done_nothing(pg: Place) -> None:
    task = asyncio.create_task(pg.change(values("ada"), LONG["postgresql"]))
    await asyncio.sleep(0.3)
    pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'factotum'")
    with pytest.raises(Unavailable) as raised:
        await task
    assert not raised.value.effect_possible
    assert pg.people() == []


async def test_a_commit_whose_answer_is_lost_is_not_taken_for_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Connection.commit

    def lost(connection: Connection) -> None:
        commit(connection)
        raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "commit", lost)
        with pytest.raises(Unavailable) as raised:
            await place.change(values("ada"), key="one")
    assert raised.value.effect_possible
    assert (await place.change(values("ada"), key="one")).results[0].changed == 1
    assert place.people() == ["ada"]


# Once


@pytest.mark.parametrize("point", KillPoint)
async def test_a_killed_executor_changes_once(place: Place, point: KillPoint, tmp_path: Path) -> None:
    house = House(connector, place.settings(), tmp_path, {"db": PASSWORD})
    adding = {"sql": "INSERT INTO people (id, name) SELECT count(*), 'ada' FROM people"}
    answer = await killed_and_called_again(house, "sql.execute", {"database": "crm", "statements": [adding]}, point)
    assert answer.output_json == '{"results":[{"changed":1,"returned":null}]}'
    assert place.people() == ["ada"]


async def test_without_a_table_of_effects_a_person_is_asked(tmp_path: Path) -> None:
    place = on_sqlite(tmp_path)
    place.sql("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    house = House(connector, place.settings(effects_table=None), tmp_path, {"db": PASSWORD})
    change = {"database": "crm", "statements": [{"sql": "INSERT INTO people (name) VALUES ('ada')"}]}
    answer = await killed_and_called_again(house, "sql.execute", change, KillPoint.BEFORE_THE_ANSWER)
    assert answer.error is not None and answer.error.kind == "ambiguous"
    assert place.people() == ["ada"]


async def test_conformance(place: Place) -> None:
    def named(number: int) -> dict[str, Any]:
        statement = {
            "sql": "INSERT INTO people (id, name) SELECT count(*), :name FROM people",
            "parameters": {"name": f"n{number}"},
        }
        return {"database": "crm", "statements": [statement]}

    async def standing(arguments: Any) -> int:
        return place.people().count(arguments["statements"][0]["parameters"]["name"])

    away = {"postgresql": f"postgresql://tester@127.0.0.1:{closed_port()}/x", "sqlite": "sqlite:////nowhere/x.db"}
    world: World[SqlSettings] = World(
        settings=place.settings(),
        arguments=named,
        standing=standing,
        secrets={"db": PASSWORD} if place.kind == "postgresql" else {},
        away=place.settings(url=away[place.kind]),
    )
    once = execute.narrowed(Effect.UPDATE, Idempotency.NATIVE)
    for tool in (once, query, tables, tools.databases):
        if tool is query:
            world = World(
                settings=world.settings,
                arguments=lambda _: {"database": "crm", "sql": "SELECT * FROM people"},
                secrets=world.secrets,
                away=world.away,
            )
        if tool is tables:
            world = World(settings=world.settings, arguments=lambda _: {"database": "crm"}, secrets=world.secrets)
        if tool is tools.databases:
            world = World(settings=world.settings, arguments=lambda _: {}, secrets=world.secrets)
        (await check_tool(tool, world)).assert_passed()
