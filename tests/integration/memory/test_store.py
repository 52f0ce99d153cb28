"""The records in a real Milvus Lite: kept once, found, confined to their tenant, and still there after a kill."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymilvus import MilvusClient

from factotum.api.memory.v1.memory_pb2 import KIND_DOCUMENT, KIND_THOUGHT, Kind, Record
from factotum.memory.errors import InvalidRequest, StoreUnavailable
from factotum.memory.recall import Scope
from factotum.memory.records import completed
from factotum.memory.store.milvus import Entry, MemoryStore

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TENANTS = ("acme", "globex", "a", "a-b")


def vector(seed: int = 0) -> NDArray[np.float32]:
    value = np.random.default_rng(seed).normal(size=384)
    return (value / np.linalg.norm(value)).astype(np.float32)


def entry(tenant: str, text: str, *, identity: str = "", kind: Kind.ValueType = KIND_DOCUMENT, run: str = "") -> Entry:
    record = completed(tenant, Record(id=identity, kind=kind, text=text, run_id=run), NOW)
    return Entry(tenant, record, vector())


async def texts(store: MemoryStore, scope: Scope, words: str = "hello") -> tuple[set[str], set[str]]:
    by_meaning, by_words = await store.search(scope, vector(), words, 1000)
    return {record.text for record in by_meaning}, {record.text for record in by_words}


async def test_a_record_comes_back_as_it_went_in(store: MemoryStore) -> None:
    given_ = completed(
        "roundtrip",
        Record(
            id='an "id" \\ é',
            kind=KIND_THOUGHT,
            text="text with 'quotes', \"double\", back\\slash, \0 and 🙂",
            run_id="acme.employee-onboarding.ab12",
            origin="/tool-executor: 1\" or '2",
            attributes_json='{"list":[1,2.5,null,true,{"é":"\\"\\\\"}],"big":9223372036854775807,"empty":{}}',
        ),
        NOW,
    )
    await store.upsert([Entry("roundtrip", given_, vector())])
    (found,), _ = await store.search(Scope("roundtrip"), vector(), "text", 10)
    assert found == given_


async def test_nothing_is_found_where_nothing_is_kept(tmp_path: Path) -> None:
    async with MemoryStore(str(tmp_path / "memory.db")) as store:
        assert await store.search(Scope("acme"), vector(), "hello", 10) == ([], [])
        await store.upsert([])
        await store.upsert([entry("acme", "hello")])
        assert await texts(store, Scope("acme")) == ({"hello"}, {"hello"})
        assert await texts(store, Scope("globex")) == (set(), set())


async def test_the_same_id_replaces_in_every_index(store: MemoryStore) -> None:
    await store.upsert([entry("once", "hello first", identity="x")])
    await store.upsert([entry("once", "hello second", identity="x")])
    assert await texts(store, Scope("once")) == ({"hello second"}, {"hello second"})
    # In one request, too, where Milvus Lite would keep the words of both.
    await store.upsert([entry("once", "hello third", identity="x"), entry("once", "hello fourth", identity="x")])
    assert await texts(store, Scope("once")) == ({"hello fourth"}, {"hello fourth"})
    _, by_words = await store.search(Scope("once"), vector(), "third second first", 10)
    assert by_words == []


async def test_the_id_of_another_tenants_record_does_not_replace_it(store: MemoryStore) -> None:
    await store.upsert([entry("first", "hello mine", identity="x"), entry("second", "hello yours", identity="x")])
    assert await texts(store, Scope("first")) == ({"hello mine"}, {"hello mine"})
    assert await texts(store, Scope("second")) == ({"hello yours"}, {"hello yours"})


async def test_kinds_and_runs_narrow_the_scope(store: MemoryStore) -> None:
    await store.upsert(
        [
            entry("narrow", "hello document", run="r1"),
            entry("narrow", "hello thought", kind=KIND_THOUGHT, run="r1"),
            entry("narrow", "hello other run", run="r2"),
        ]
    )
    for scope, expected in (
        (Scope("narrow", ("thought",)), {"hello thought"}),
        (Scope("narrow", run_id="r1"), {"hello document", "hello thought"}),
        (Scope("narrow", ("document",), "r2"), {"hello other run"}),
        (Scope("narrow", ("episode",)), set()),
        (Scope("narrow", ("episode", "thought"), "r2"), set()),
    ):
        assert await texts(store, scope) == (expected, expected), scope


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=st.lists(st.tuples(st.sampled_from(TENANTS), st.text(min_size=1, max_size=40)), min_size=1, max_size=12),
    words=st.text(min_size=1, max_size=40),
)
async def test_no_tenant_ever_finds_anothers(store: MemoryStore, written: list[tuple[str, str]], words: str) -> None:
    entries = [entry(tenant, f"hello {text} of <{tenant}>") for tenant, text in written]
    await store.upsert(entries)
    for tenant in TENANTS:
        own = {e.record.text for e in entries if e.tenant == tenant}
        by_meaning, by_words = await texts(store, Scope(tenant), f"hello {words} acme globex")
        assert own <= by_meaning
        assert own <= by_words
        assert all(text.endswith(f"<{tenant}>") for text in by_meaning | by_words)


@pytest.mark.parametrize(
    "scope",
    [
        Scope('acme" or tenant != "'),
        Scope("acme\\"),
        Scope(""),
        Scope("acme", run_id='r" or tenant != "'),
        Scope("acme", run_id="r\\"),
        Scope("acme", run_id="r' or 1 == 1 or '"),
    ],
)
async def test_the_store_itself_refuses_what_could_be_a_filter(store: MemoryStore, scope: Scope) -> None:
    with pytest.raises(InvalidRequest):
        await store.search(scope, vector(), "hello", 10)


@pytest.mark.parametrize("words", ["???", '"', "\\", "the", "x" * 8000, "\0", "漢字"])
async def test_any_words_can_be_searched(store: MemoryStore, words: str) -> None:
    await store.search(Scope("acme"), vector(), words, 10)


async def test_an_engine_that_died_is_started_anew(store: MemoryStore) -> None:
    await store.upsert([entry("dies", "hello before")])
    assert store._lite is not None
    assert store._lite._process is not None
    store._lite._process.kill()
    store._lite._process.wait()
    with pytest.raises(StoreUnavailable):
        await store.search(Scope("dies"), vector(), "hello", 10)
    assert await texts(store, Scope("dies")) == ({"hello before"}, {"hello before"})


async def test_the_killed_processs_engine_does_not_keep_the_file(tmp_path: Path) -> None:
    """kill -9 right after a write; the next process opens the file at once and finds it."""
    code = textwrap.dedent(
        """
        import asyncio, os, sys
        from tests.integration.memory.test_store import MemoryStore, entry
        async def main():
            store = MemoryStore(sys.argv[1])
            await store.upsert([entry("acme", f"hello {sys.argv[2]}")])
            os.kill(os.getpid(), 9)
        asyncio.run(main())
        """
    )
    path = tmp_path / "memory.db"
    root = Path(__file__).parents[3]
    env = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'services'}"}
    for number in range(3):
        arguments = [sys.executable, "-c", code, str(path), str(number)]
        killed = await asyncio.to_thread(subprocess.run, arguments, env=env, check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
    async with MemoryStore(str(path)) as store:
        expected = {f"hello {number}" for number in range(3)}
        assert await texts(store, Scope("acme")) == (expected, expected)


async def test_a_file_in_use_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.memory.store.lite.START_SECONDS", 0.5)
    path = str(tmp_path / "memory.db")
    async with MemoryStore(path) as first:
        await first.connect()
        code = (
            "import asyncio, sys\nfrom factotum.memory.store import lite\n"
            "from factotum.memory.store.milvus import MemoryStore\n"
            "lite.START_SECONDS = 0.5\nasyncio.run(MemoryStore(sys.argv[1]).connect())\n"
        )
        second = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", code, path], check=False, timeout=60, capture_output=True, text=True
        )
        assert "in use by another process" in second.stderr
        await first.connect()


async def test_a_file_that_is_about_to_be_let_go_of_is_waited_for(tmp_path: Path) -> None:
    """As after a kill -9, while the killed process's engine still ends."""
    code = (
        "import fcntl, sys, time\nlock = open(sys.argv[1], 'a')\nfcntl.lockf(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\ntime.sleep(1)\n"
    )
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path / ".memory.db.lock"), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    async with MemoryStore(str(tmp_path / "memory.db")) as store:
        await store.upsert([entry("acme", "hello")])
        assert holder.returncode == 0 or await holder.wait() == 0


async def test_a_killed_creation_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collection is there, its indexes are not."""
    path = str(tmp_path / "memory.db")
    with monkeypatch.context() as patched:
        patched.setattr(MilvusClient, "list_indexes", lambda *_, **__: ["dense", "sparse"])
        patched.setattr(MilvusClient, "load_collection", lambda *_, **__: None)
        async with MemoryStore(path) as store:
            await store.connect()
    async with MemoryStore(path) as store:
        await store.upsert([entry("acme", "hello")])
        assert await texts(store, Scope("acme")) == ({"hello"}, {"hello"})


async def test_a_server_that_is_away_is_unavailable() -> None:
    async with MemoryStore("http://127.0.0.1:9", "token", timeout_seconds=1) as store:
        with pytest.raises(StoreUnavailable):
            await store.connect()
