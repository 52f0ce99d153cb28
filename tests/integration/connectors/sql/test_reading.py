"""What the sql connector reads on PostgreSQL and on SQLite, and that it does nothing else then."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from factotum.connectors.sql import kinds, statements, tools
from factotum.connectors.sql.settings import Database
from factotum.connectors.sql.tools import tables
from factotum.sdk.errors import Conflict, InvalidArgument, NotFound, NotPermitted, ToolError, Unavailable
from tests.support.databases import Place, on_sqlite, values


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
    engine = kinds.Sqlite().engine(Database(url=place.url).parsed, reading=True, seconds=1, max_bytes=1000)
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


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT hex(zeroblob(200000000)) AS a",
        "SELECT zeroblob(200000000) AS a",
        "SELECT instr(hex(zeroblob(1000)), 'x') AS a",
        "SELECT REPLACE('a', 'b', 'c') AS a",
        "SELECT 'a' LIKE hex(zeroblob(200)) AS a",
    ],
)
async def test_a_single_step_of_sqlite_is_bounded(tmp_path: Path, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises((InvalidArgument, NotPermitted)):
        await on_sqlite(tmp_path).asked({"sql": sql}, max_bytes=1000, seconds=2)
    assert time.monotonic() - started < 1


async def test_a_statement_that_turns_the_databases_clock_off_ends_by_ours(pg: Place) -> None:
    started = time.monotonic()
    off = (
        "SELECT CASE WHEN g = 1 THEN set_config('statement_timeout', '0', true)"
        " WHEN g = 60 THEN (SELECT 'slept' FROM pg_sleep(12)) ELSE '' END AS a FROM generate_series(1, 70) g"
    )
    with pytest.raises(Unavailable, match="took longer"):
        await pg.asked({"sql": off}, seconds=0.5)
    assert time.monotonic() - started < 3
