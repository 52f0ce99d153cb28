"""The ledger's file: what it lists, resolves, refuses, and keeps."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from factotum.sdk.spec import Idempotency
from factotum.tool_executor.calls import Origin
from factotum.tool_executor.errors import LedgerUnavailable, NotAmbiguous, UnknownEffect
from factotum.tool_executor.ledger import Claim, Granted, Publication, Refused, Settlement, State, Step
from factotum.tool_executor.ledger_sqlite import _SCHEMA, SqliteLedger

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
CLAIM = Claim(
    tenant="acme",
    key="k",
    tool="fake.create",
    tool_version="1.0.0",
    arguments_json='{"name": "ada"}',
    arguments_sha256="0" * 64,
    origin=Origin(run_id="run"),
    idempotency=Idempotency.RECONCILE,
    owner="me",
    held=False,
    now=NOW,
    lease_until=NOW + timedelta(seconds=5),
)
PUBLICATION = Publication("acme/run", b"{}", "00-1-2-01")


def settlement(claim: Claim, state: State, **changes: object) -> Settlement:
    made = Settlement(tenant=claim.tenant, key=claim.key, owner=claim.owner, state=state, now=NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


def opened(folder: Path) -> SqliteLedger:
    return SqliteLedger(folder / "deep" / "ledger.sqlite", ambiguous_retry_seconds=5)


async def test_what_was_claimed_is_there_after_reopening(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        assert await ledger.claim(CLAIM) == Granted(Step.CALL, 1, NOW)
    async with opened(tmp_path) as ledger:
        entry = await ledger.entry("acme", "k")
        later = replace(CLAIM, owner="you", now=NOW + timedelta(seconds=5))
        assert entry is not None and (entry.state, entry.lease_owner) == (State.STARTED, "me")
        assert await ledger.claim(later) == Granted(Step.ASK, 2, NOW, doubt=True)


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
        claimed = await ledger.claim(replace(CLAIM, key="s"))
        assert claimed == Granted(Step.ASK, 2, datetime(1970, 1, 1, tzinfo=UTC), doubt=True)


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


async def test_an_effect_settles_together_with_its_observation(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.claim(CLAIM)
        done = settlement(CLAIM, State.DONE, observation=b"{}", publications=(PUBLICATION,))
        # The outbox refuses the second: then the first, and the state, are not there either.
        broken = replace(done, publications=(PUBLICATION, replace(PUBLICATION, message_key=None)))  # type: ignore[arg-type]
        with pytest.raises(LedgerUnavailable):
            await ledger.settle(broken)
        entry = await ledger.entry("acme", "k")
        assert entry is not None and entry.state is State.STARTED and await ledger.unpublished(9) == []
        assert await ledger.settle(done)
        assert await ledger.unpublished(9) == [(1, PUBLICATION)]
        assert not await ledger.settle(done)
        await ledger.published([1])
        assert await ledger.unpublished(9) == []


async def test_only_the_owner_renews(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.claim(CLAIM)
        until = NOW + timedelta(minutes=1)
        assert not await ledger.renew("acme", "k", "you", lease_until=until)
        assert await ledger.renew("acme", "k", "me", lease_until=until)
        entry = await ledger.entry("acme", "k")
        assert entry is not None and entry.lease_until == until


async def test_lists_are_of_one_tenant_newest_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for number, tenant in enumerate(["acme", "globex", "acme", "acme"]):
            now = NOW + timedelta(seconds=number)
            origin = Origin(run_id=f"run{number % 2}")
            await ledger.claim(replace(CLAIM, tenant=tenant, key=f"k{number}", now=now, origin=origin))
        await ledger.settle(settlement(replace(CLAIM, key="k2"), State.AMBIGUOUS))

        async def keys(**wanted: object) -> list[str]:
            query = {"states": [], "limit": 10, "run_id": ""} | wanted
            return [entry.key for entry in await ledger.entries("acme", **query)]  # type: ignore[arg-type]

        assert await keys() == ["k3", "k2", "k0"]
        assert await keys(limit=1) == ["k3"]
        assert await keys(states=[State.AMBIGUOUS]) == ["k2"]
        assert await keys(run_id="run1") == ["k3"]


async def test_only_what_is_ambiguous_can_be_resolved(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        with pytest.raises(UnknownEffect):
            await ledger.resolve("acme", "k", output_json="{}", reason="", now=NOW)
        await ledger.claim(CLAIM)
        with pytest.raises(NotAmbiguous, match="started"):
            await ledger.resolve("acme", "k", output_json="{}", reason="", now=NOW)
        await ledger.settle(settlement(CLAIM, State.AMBIGUOUS))
        with pytest.raises(UnknownEffect):
            await ledger.resolve("globex", "k", output_json="{}", reason="", now=NOW)
        entry = await ledger.resolve("acme", "k", output_json=None, reason="Grace: not in the log", now=NOW)
        assert (entry.state, entry.reason) == (State.FAILED, "Grace: not in the log")


async def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, and long enough to be seen as none" * 100)
    with pytest.raises(LedgerUnavailable, match=r"ledger\.sqlite"):
        async with SqliteLedger(path, ambiguous_retry_seconds=5):
            pass


async def test_a_locked_file_is_said_to_be_unavailable(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger._file.run(lambda db: db.execute("PRAGMA busy_timeout = 50").fetchone())
        other = sqlite3.connect(tmp_path / "deep" / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked"):
            await ledger.claim(CLAIM)
        other.close()
        assert await ledger.claim(CLAIM) == Granted(Step.CALL, 1, NOW)


async def test_what_is_committed_together_fails_apart(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        release = threading.Event()
        blocker = asyncio.ensure_future(ledger._file.run(lambda _: release.wait(5)))
        await asyncio.sleep(0.05)
        broken = replace(CLAIM, key="broken", tool=None)  # type: ignore[arg-type]
        claims = [replace(CLAIM, key="first"), broken, replace(CLAIM, key="last"), replace(CLAIM, key="last")]
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


async def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        pass
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.claim(CLAIM)
