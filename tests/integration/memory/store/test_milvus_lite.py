"""Milvus Lite as our child: it dies, its file is in use, a process is killed; what was written is there."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from factotum.memory.errors import StoreUnavailable
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Scope
from tests.support.stores import SPACE, entry, everywhere, texts, vector

ROOT = Path(__file__).parents[4]


async def test_nothing_is_found_before_anything_is_kept_and_after_all_is_gone(tmp_path: Path) -> None:
    """The engine fails a search by words there, instead of finding nothing."""
    async with MemoryStore(str(tmp_path / "memory.db"), space=SPACE) as store:
        scope = Scope(tenant="acme")
        assert await store.search(scope, vector(), "hello", 10) == ([], [])
        await store.upsert([entry("acme", "hello", id="x")])
        assert await texts(store, scope) == (["hello"], ["hello"])
        assert await texts(store, Scope(tenant="globex")) == ([], [])
        await store.delete("acme", ["x"])
        assert await store.search(scope, vector(), "hello", 10) == ([], [])
        await store.upsert([entry("acme", "hello", id="x")])
        assert await texts(store, scope) == (["hello"], ["hello"])


async def test_an_engine_that_died_is_started_anew(tmp_path: Path) -> None:
    async with MemoryStore(str(tmp_path / "memory.db"), space=SPACE) as store:
        await store.upsert([entry("dies", "hello before")])
        server = store._connection._server
        assert server is not None
        assert server._process is not None
        server._process.kill()
        server._process.wait()
        with pytest.raises(StoreUnavailable):
            await store.search(Scope(tenant="dies"), vector(), "hello", 10)
        assert await everywhere(store, "dies") == {"hello before"}


async def test_the_killed_processs_engine_does_not_keep_the_file(tmp_path: Path) -> None:
    """kill -9 right after a write; the next process opens the file at once and finds it."""
    code = textwrap.dedent(
        """
        import asyncio, os, sys
        from factotum.memory.store.milvus import MemoryStore
        from tests.support.stores import SPACE, entry
        async def main():
            store = MemoryStore(sys.argv[1], space=SPACE)
            await store.upsert([entry("acme", f"hello {sys.argv[2]}")])
            os.kill(os.getpid(), 9)
        asyncio.run(main())
        """
    )
    path = tmp_path / "memory.db"
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'services'}"}
    for number in range(2):
        arguments = [sys.executable, "-c", code, str(path), str(number)]
        killed = await asyncio.to_thread(subprocess.run, arguments, env=env, check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
    async with MemoryStore(str(path), space=SPACE) as store:
        assert await everywhere(store, "acme") == {f"hello {number}" for number in range(2)}


async def test_a_file_in_use_is_said_to_be(tmp_path: Path) -> None:
    path = str(tmp_path / "memory.db")
    async with MemoryStore(path, space=SPACE) as first:
        await first.connect()
        code = (
            "import asyncio, sys\nfrom factotum.memory.store import lite\n"
            "from factotum.memory.store.spaces import Space\n"
            "from factotum.memory.store.milvus import MemoryStore\n"
            "lite.START_SECONDS = 0.5\nasyncio.run(MemoryStore(sys.argv[1], space=Space('x', 8)).connect())\n"
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
    async with MemoryStore(str(tmp_path / "memory.db"), space=SPACE) as store:
        await store.upsert([entry("acme", "hello")])
        assert holder.returncode == 0 or await holder.wait() == 0


async def test_a_killed_creation_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collections are there, their indexes are not, and nothing is noted of them."""
    path = str(tmp_path / "memory.db")
    with monkeypatch.context() as patched:
        patched.setattr(MilvusClient, "list_indexes", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        async with MemoryStore(path, space=SPACE) as store:
            with pytest.raises(KeyboardInterrupt):
                await store.connect()
    async with MemoryStore(path, space=SPACE) as store:
        await store.upsert([entry("acme", "hello")])
        assert await everywhere(store, "acme") == {"hello"}


async def test_a_write_and_a_search_do_not_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine counts words and documents in two steps, and a search by words between them fails."""
    under_way: list[str] = []
    overlaps: list[set[str]] = []

    def watched(name: str) -> None:
        inner = getattr(MilvusClient, name)

        def call(*arguments: Any, **options: Any) -> Any:
            under_way.append(name)
            overlaps.append(set(under_way))
            time.sleep(0.01)
            try:
                return inner(*arguments, **options)
            finally:
                under_way.remove(name)

        monkeypatch.setattr(MilvusClient, name, call)

    async with MemoryStore(str(tmp_path / "memory.db"), space=SPACE) as store:
        await store.upsert([entry("acme", "hello", id="x")])
        for name in ("search", "insert", "upsert", "delete"):
            watched(name)
        searches = (store.search(Scope(tenant="acme"), vector(), "hello", 10) for _ in range(8))
        writes = (store.upsert([entry("acme", "hello", id=f"{n % 2}")]) for n in range(8))
        await asyncio.gather(*(each for pair in zip(searches, writes, strict=True) for each in pair))
    assert {"search"} in overlaps
    assert {"insert"} in overlaps
    assert [names for names in overlaps if len(names) > 1] == []


async def test_the_file_finds_a_row_by_its_key(tmp_path: Path) -> None:
    """The engine itself reads its whole file for each row that is replaced or deleted."""
    path = tmp_path / "memory.db"
    async with MemoryStore(str(path), space=SPACE) as store:
        await store.upsert([entry("acme", "hello")])
    with closing(sqlite3.connect(path)) as file:
        names = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE name LIKE 'memories%'")]
        (table,) = (name for name in names if not name.endswith("_by_key"))
        plan = file.execute(f'EXPLAIN QUERY PLAN DELETE FROM "{table}" WHERE milvus_id IN (?)', ["x"]).fetchall()  # noqa: S608
    assert "USING" in plan[0][3]
    assert f"{table}_by_key" in plan[0][3]


async def test_nothing_of_what_was_deleted_is_left_in_the_file_once_it_is_scrubbed(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with MemoryStore(str(path), space=SPACE) as store:
        await store.upsert([entry("acme", f"zoequick number {number}", id=f"x{number}") for number in range(300)])
        await store.upsert([entry("acme", "hello", id="stays")])
        assert b"zoequick" in path.read_bytes()
        await store.delete("acme", [f"x{number}" for number in range(300)])
        searching = [asyncio.ensure_future(texts(store, Scope(tenant="acme"))) for _ in range(20)]
        await store.scrub()
        assert b"zoequick" not in path.read_bytes()
        assert await asyncio.gather(*searching) == [(["hello"], ["hello"])] * 20
        await store.upsert([entry("acme", "hello again", id="later")])
        assert set((await texts(store, Scope(tenant="acme")))[0]) == {"hello", "hello again"}
    assert b"zoequick" not in path.read_bytes()


async def test_a_server_that_is_away_is_unavailable() -> None:
    async with MemoryStore("http://127.0.0.1:9", "token", space=SPACE, timeout_seconds=1) as store:
        with pytest.raises(StoreUnavailable):
            await store.connect()


@pytest.mark.parametrize("long", [False, True])
async def test_starts_and_kills_leave_nothing_behind(tmp_path: Path, *, long: bool) -> None:
    """Neither in the temporary folder nor beside the file, also where its path is too long for a socket's."""
    temporary, folder = tmp_path / "t", tmp_path / ("a" * 90 if long else "a")
    temporary.mkdir()
    folder.mkdir()
    if not long:
        (folder / ".memory.db.sock").touch()  # of an engine that was killed, too
    env = {**os.environ, "PYTHONPATH": str(ROOT / "services"), "TMPDIR": str(temporary)}
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom factotum.memory.store.lite import LiteServer\n"
        "server = LiteServer(Path(sys.argv[1]))\nserver.start()\n"
        "os.kill(os.getpid(), 9) if sys.argv[2] else server.stop()\n"
    )
    for ended in ("", "killed", "killed", ""):
        arguments = [sys.executable, "-c", code, str(folder / "memory.db"), ended]
        done = await asyncio.to_thread(subprocess.run, arguments, env=env, check=False, timeout=60, capture_output=True)
        assert done.returncode == (-signal.SIGKILL if ended else 0), done.stderr
        assert len([*temporary.iterdir(), *folder.glob("*.sock")]) <= bool(ended), "the next start clears it"
    assert {each.name for each in folder.iterdir()} <= {"memory.db", ".memory.db.lock"}
