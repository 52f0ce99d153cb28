"""What is the SQLite file's own: its versions, its commits, and what it is refused by."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factotum.sdk.spec import Idempotency
from factotum.tool_executor import group_commit
from factotum.tool_executor.errors import LedgerUnavailable, UnknownEffect
from factotum.tool_executor.ledger import Granted, Refused, State, Step
from factotum.tool_executor.ledger_sqlite import _SCHEMA, SqliteLedger
from tests.support.ledgers import CLAIM, NOW, settlement


def opened(folder: Path) -> SqliteLedger:
    return SqliteLedger(folder / "deep" / "ledger.sqlite", ambiguous_retry_seconds=5)


async def test_a_file_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.sqlite"
    path.parent.mkdir()
    old = sqlite3.connect(path)
    for statement in _SCHEMA[0]:
        old.execute(statement)
    for key, state in (("s", "started"), ("a", "ambiguous"), ("f", "failed"), ("d", "done")):
        values = ("acme", key, "fake.create", "1.0.0", CLAIM.arguments_sha256, *[""] * 6, state, 1, 0.0, 0.0)
        stored = b"{}" if state == "done" else None
        marks = ", ".join("?" * (len(values) + 1))
        old.execute(
            "INSERT INTO effects (tenant, key, tool, tool_version, arguments_sha256, run_id, step, iteration, "  # noqa: S608
            "procedure, event_source, event_id, state, attempts, started_at, updated_at, observation) "
            f"VALUES ({marks})",
            (*values, stored),
        )
    old.commit()
    old.close()
    for _ in range(2):
        async with opened(tmp_path) as ledger:
            entries = await ledger.entries("acme", states=[], limit=9, run_id="")
            assert {(entry.key, entry.doubt) for entry in entries} == {
                ("s", True),
                ("a", True),
                ("f", False),
                ("d", False),
            }
            assert {entry.arguments_json for entry in entries} == {None}
    async with opened(tmp_path) as ledger:
        # Under which contract it was begun is not known: it is asked for, and not repeated.
        claimed = await ledger.claim(replace(CLAIM, key="s"))
        assert claimed == Granted(Step.ASK, 2, datetime(1970, 1, 1, tzinfo=UTC), doubt=True)
        await ledger.settle(settlement(replace(CLAIM, key="s"), State.STARTED, doubt=True))
        claimed = await ledger.claim(replace(CLAIM, key="s", owner="you", idempotency=Idempotency.NATIVE))
        assert isinstance(claimed, Granted) and claimed.step is Step.GIVE_UP


async def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger._file.run(lambda db: db.execute("PRAGMA user_version = 99"))
    with pytest.raises(LedgerUnavailable, match="version 99"):
        async with opened(tmp_path):
            pass


async def test_it_is_written_through(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        pragmas = await ledger._file.run(
            lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        )
    assert pragmas == ["wal", 2]


async def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, and long enough to be seen as none" * 100)
    with pytest.raises(LedgerUnavailable, match=r"ledger\.sqlite"):
        async with SqliteLedger(path, ambiguous_retry_seconds=5):
            pass


async def test_a_locked_file_is_waited_for_and_then_said_to_be_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as ledger:
        monkeypatch.setattr(group_commit, "LOCK_SECONDS", 0.05)
        other = sqlite3.connect(tmp_path / "deep" / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked"):
            await ledger.claim(CLAIM)
        monkeypatch.setattr(group_commit, "LOCK_SECONDS", 5)
        claiming = asyncio.ensure_future(ledger.claim(CLAIM))
        await asyncio.sleep(0.05)
        other.close()
        assert await claiming == Granted(Step.CALL, 1, NOW)


async def test_what_is_committed_together_fails_apart(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        release = threading.Event()
        blocker = asyncio.ensure_future(ledger._file.run(lambda _: release.wait(5), long=True))
        await asyncio.sleep(0.05)
        broken = replace(CLAIM, key="broken", tool=None)  # type: ignore[arg-type]
        claims = [replace(CLAIM, key="first"), broken, replace(CLAIM, key="last")]
        claims.append(replace(CLAIM, key="last", owner="you"))
        waiting = [asyncio.ensure_future(ledger.claim(claim)) for claim in claims]
        waiting.append(asyncio.ensure_future(ledger.resolve("acme", "none", output_json=None, reason="", now=NOW)))
        await asyncio.sleep(0.05)
        release.set()
        first, refused, last, again, unknown = await asyncio.gather(*waiting, return_exceptions=True)
        await blocker
        assert first == last == Granted(Step.CALL, 1, NOW)
        assert isinstance(refused, LedgerUnavailable) and isinstance(unknown, UnknownEffect)
        assert isinstance(again, Refused)
        entries = await ledger.entries("acme", states=[], limit=9, run_id="")
        assert [entry.key for entry in entries] == ["first", "last"]


async def test_a_look_up_waits_for_no_transaction_and_sees_what_was_committed(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        assert await ledger.entry(CLAIM.tenant, CLAIM.key) is None
        await ledger.claim(CLAIM)
        other = sqlite3.connect(tmp_path / "deep" / "ledger.sqlite", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE effects SET attempts = 7")
            entry = await asyncio.wait_for(ledger.entry(CLAIM.tenant, CLAIM.key), 2)
            assert entry is not None and entry.attempts == 1
            other.execute("COMMIT")
        finally:
            other.close()
        entry = await ledger.entry(CLAIM.tenant, CLAIM.key)
        assert entry is not None and entry.attempts == 7
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.entry(CLAIM.tenant, CLAIM.key)
