"""What the sql connector changes on PostgreSQL and on SQLite: all or none, once, in its time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from factotum.connectors.sql.settings import Database, SqlSettings
from factotum.connectors.sql.tools import connector, execute, narrowed, query
from factotum.sdk.errors import Cancelled, Conflict, Failed, InvalidArgument, NotPermitted, Unavailable
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.testing import World, check_tool
from tests.support.databases import FOREVER, LONG, PASSWORD, Place, numbers, on_sqlite, values
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.tool_calls import closed_port, tool_context


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


@pytest.mark.parametrize(
    "touch",
    [
        "DELETE FROM factotum_effects WHERE result <> ''",
        "UPDATE factotum_effects SET result = '{}' WHERE key = 'one'",
        "INSERT INTO factotum_effects SELECT 'acme', 'forged', 'x', '{}', done_at FROM factotum_effects LIMIT 1",
        "WITH x AS (SELECT 1) DELETE FROM FACTOTUM_EFFECTS WHERE key = 'one'",
    ],
)
async def test_statements_do_not_touch_the_effects_of_others(place: Place, touch: str) -> None:
    adding = "INSERT INTO people (id, name) SELECT count(*), 'ada' FROM people"
    first = await place.change(adding, key="one")
    with pytest.raises((Conflict, NotPermitted)) as raised:
        await place.change("INSERT INTO people (id, name) VALUES (7, 'eve')", touch, key="two")
    assert not raised.value.effect_possible
    assert place.people() == ["ada"]
    assert await place.change(adding, key="one") == first
    assert place.sql("SELECT count(*) FROM factotum_effects")[0][0] == 1


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
    reader = f"reader_{next(numbers)}"
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
    locked = f"locked_{next(numbers)}"
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


@pytest.mark.parametrize("point", KillPoint)
@pytest.mark.parametrize("name", ["sql.execute"])
async def test_a_killed_executor_changes_once(place: Place, name: str, point: KillPoint, tmp_path: Path) -> None:
    house = House(connector, place.settings(), tmp_path, {"db": PASSWORD})
    adding = {"sql": "INSERT INTO people (id, name) SELECT count(*), 'ada' FROM people"}
    answer = await killed_and_called_again(house, name, {"database": "crm", "statements": [adding]}, point)
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


def world(place: Place, name: str) -> World[SqlSettings]:
    secrets = {"db": PASSWORD} if place.kind == "postgresql" else {}
    away = {"postgresql": f"postgresql://tester@127.0.0.1:{closed_port()}/x", "sqlite": "sqlite:////nowhere/x.db"}
    given: dict[str, Any] = {
        "databases": {},
        "tables": {"database": "crm"},
        "query": {"database": "crm", "sql": "SELECT * FROM people"},
    }
    if name in given:
        gone = place.settings(url=away[place.kind]) if name == "query" else None
        return World(settings=place.settings(), arguments=lambda _: given[name], secrets=secrets, away=gone)

    def named(number: int) -> dict[str, Any]:
        statement = {
            "sql": "INSERT INTO people (id, name) SELECT count(*), :name FROM people",
            "parameters": {"name": f"n{number}"},
        }
        return {"database": "crm", "statements": [statement]}

    async def standing(arguments: Any) -> int:
        return place.people().count(arguments["statements"][0]["parameters"]["name"])

    return World(
        settings=place.settings(),
        arguments=named,
        standing=standing,
        secrets=secrets,
        away=place.settings(url=away[place.kind]),
    )


@pytest.mark.parametrize("name", [name.partition(".")[2] for name in connector.tools])
async def test_conformance(place: Place, name: str) -> None:
    (await check_tool(connector.tools[f"sql.{name}"], world(place, name))).assert_passed()
