"""The store of sources, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from factotum.tool_executor.sources.store import Definition, Python, SourceStore, Stored, StoreUnavailable
from tests.support.postgres import Cluster, postgres

NOW = datetime(2026, 11, 24, 9, 0, 0, 250_000, tzinfo=UTC)

Opening = Callable[[], SourceStore]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'sources.sqlite3'}"
    return str(request.getfixturevalue("cluster").url())


@pytest.fixture
def place(url: str) -> Opening:
    """Each store that it opens is on the same tables."""
    return lambda: SourceStore(url)


def done(url: str, *statements: str) -> None:
    """Does what another program would have done to the tables."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as db:
        for statement in statements:
            db.execute(text(statement))
    engine.dispose()


@pytest.fixture
async def store(place: Opening) -> AsyncIterator[SourceStore]:
    async with place() as opened:
        yield opened


def stored(tenant: str = "acme", system: str = "list", *, read: bytes = b"\x00read", from_file: bool = False) -> Stored:
    return Stored(Definition(tenant, system, "listed", '{"a": "ü"}', b"\xff\x00document", from_file), read, NOW)


async def test_what_was_put_is_there_after_a_restart(place: Opening) -> None:
    async with place() as store:
        assert await store.find("acme", "list") is None and await store.versions() == {}
        first = await store.put(stored())
        again = await store.put(stored(read=b"other"))
        other = await store.put(stored("globex", from_file=True))
        assert first.version < again.version < other.version == await store.version()
    async with place() as store:
        assert await store.find("acme", "list") == again
        assert await store.versions() == {("acme", "list"): again.version, ("globex", "list"): other.version}
        assert await store.from_file() == [("globex", "list")]


async def test_every_change_is_another_version(store: SourceStore) -> None:
    versions = [await store.version()]
    await store.put(stored())
    versions.append(await store.version())
    assert await store.remove("acme", "list") and await store.find("acme", "list") is None
    versions.append(await store.version())
    assert not await store.remove("acme", "list")
    assert sorted({*versions}) == versions and await store.version() == versions[-1]


async def test_executors_that_change_at_once_lose_nothing(place: Opening) -> None:
    async with AsyncExitStack() as stack:
        stores = await asyncio.gather(*(stack.enter_async_context(place()) for _ in range(3)))
        await asyncio.gather(*(store.put(stored(system=f"s{number}")) for number, store in enumerate([*stores] * 5)))
        versions = await stores[0].versions()
        assert len(versions) == 15 and len({*versions.values()}) == 15
        assert await stores[1].version() == max(versions.values()) == 15


async def test_tables_of_before_versions_were_noted_are_brought_up_to_date(place: Opening, url: str) -> None:
    async with place() as store:
        kept = await store.put(stored())
    dropped = ("schema", "removed", "refreshes")
    done(url, *(f"DROP TABLE tool_sources_{name}" for name in dropped))
    async with AsyncExitStack() as stack:
        one, other = await asyncio.gather(*(stack.enter_async_context(place()) for _ in range(2)))
        assert await one.find("acme", "list") == kept and await one.version() == kept.version
        await other.python_removed("acme", "dice", removed=True)
        assert (await one.python()).removed == {("acme", "dice")}


async def test_tables_of_a_later_version_are_left_alone(place: Opening, url: str) -> None:
    async with place() as store:
        kept = await store.put(stored())
    done(url, "UPDATE tool_sources_schema SET version = version + 1")
    with pytest.raises(StoreUnavailable, match=r"have version \d+, this program knows .*: start the version"):
        await place().__aenter__()
    done(url, "UPDATE tool_sources_schema SET version = version - 1")
    async with place() as store:
        assert await store.find("acme", "list") == kept


async def test_what_a_tenant_does_not_have_of_python_is_kept(place: Opening) -> None:
    async with place() as store:
        before = await store.version()
        await store.python_removed("acme", "dice", removed=True)
        await store.python_removed("acme", "dice", removed=True)
        await store.python_removed("globex", "dice", removed=True)
        await store.python_removed("globex", "dice", removed=False)
        await store.python_refreshed()
        assert await store.version() > before
    async with place() as store:
        assert await store.python() == Python(refreshes=1, removed=frozenset({("acme", "dice")}))


async def test_one_that_cannot_be_used_says_where_and_no_password(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database")
    with pytest.raises(StoreUnavailable, match="file is not a database"):
        await SourceStore(f"sqlite:///{tmp_path / 'file'}").__aenter__()
    with pytest.raises(StoreUnavailable) as refused:
        await SourceStore(f"postgresql://ada:hunter2@/x?host={tmp_path}").__aenter__()
    assert "hunter2" not in str(refused.value) and str(tmp_path) in str(refused.value)
    store = SourceStore(f"sqlite:///{tmp_path / 'other'}")
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.version()
