"""A new file that several open at once is in WAL mode for each of them."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factotum.tool_executor.write_ahead import write_ahead


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)


def test_it_waits_for_another_who_has_the_file(tmp_path: Path) -> None:
    one, other = opened(tmp_path / "a.db"), opened(tmp_path / "a.db")
    one.execute("BEGIN EXCLUSIVE")
    with ThreadPoolExecutor(1) as pool:
        began = threading.Event()

        def change() -> None:
            began.set()
            write_ahead(other, 30)

        changed = pool.submit(change)
        assert began.wait(10)
        one.execute("COMMIT")
        changed.result(30)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    one.close()
    other.close()


def test_patience_ends(tmp_path: Path) -> None:
    one, other = opened(tmp_path / "a.db"), opened(tmp_path / "a.db")
    one.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(other, 0.05)
    one.close()
    other.close()
