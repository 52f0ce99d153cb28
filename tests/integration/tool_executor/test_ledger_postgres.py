"""What is PostgreSQL's own: several executors on one ledger, its clock, its tables, and its absences."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.sdk.spec import Idempotency
from factotum.tool_executor.errors import LedgerUnavailable
from factotum.tool_executor.ledger import Granted, Publication, Refused, State, Step
from factotum.tool_executor.ledger_postgres import PostgresLedger
from factotum.tool_executor.ledger_postgres_schema import _VERSIONS
from tests.support import ledgers, postgres
from tests.support.ledgers import CLAIM, NOW, PUBLICATION, settlement, waiting
from tests.support.postgres import Cluster
from tests.support.tool_executor import LEASE_SECONDS, bench


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres.postgres() as made:
        yield made


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.url()


def opened(url: str) -> PostgresLedger:
    return PostgresLedger(url, ambiguous_retry_seconds=5)


@pytest.mark.parametrize("tool", ["create", "send", "put"])
async def test_of_two_executors_one_carries_a_key_out(tmp_path: Path, url: str, tool: str) -> None:
    async with AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(bench(tmp_path, ledgers.postgres(url))) for _ in range(2)]
        # Long enough that the lease has to be renewed; what was begun second must not outlast it either.
        benches[0].world.script("slow", "slow")
        answers = await asyncio.gather(*(b.call(tool) for b in benches for _ in range(2)))
        done = [answer for answer in answers if answer.output_json is not None]
        assert len(done) == 1 and len(benches[0].world.effects) == 1
        assert all(one.error and one.error.kind == "unavailable" for one in answers if one not in done)
        # Each answers from now on what the one had.
        for b in benches:
            again = await b.call(tool)
            assert again.replayed and again.output_json == done[0].output_json


WORDS = ["ok", "slow", "refuse", "away", "lost-before", "raise-before", "die-before", "lost", "raise", "die"]


@given(rounds=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS), st.booleans()), max_size=4))
@settings(max_examples=12, deadline=None)
def test_whatever_two_executors_meet_with_at_once_the_effect_is_there_once(
    cluster: Cluster, rounds: list[tuple[str, str, bool]]
) -> None:
    asyncio.run(_both(cluster.url(), rounds))


async def _both(url: str, rounds: list[tuple[str, str, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with bench(Path(folder), ledgers.postgres(url)) as one, bench(Path(folder), ledgers.postgres(url)) as two:
            for first, second, waits in rounds:
                one.world.script(first, second)
                ahead = one.ahead + timedelta(seconds=LEASE_SECONDS if waits else 0)
                one.ahead = two.ahead = ahead
                answers = await asyncio.gather(one.call("create"), two.call("create"), return_exceptions=True)
                for b, answer in zip((one, two), answers, strict=True):
                    if isinstance(answer, asyncio.CancelledError):
                        b.restarted()
                    elif isinstance(answer, BaseException):
                        raise answer
                    elif answer.output_json is None and not answer.effect_possible:
                        assert len(one.world.effects) == 0, "a run was told that there is nothing to undo"
                assert len(one.world.effects) <= 1
            one.ahead = two.ahead = one.ahead + timedelta(seconds=LEASE_SECONDS)
            one.world.script()
            outputs = {(await b.call("create")).output_json for b in (one, two)}
            assert len(outputs) == 1 and None not in outputs and len(one.world.effects) == 1


async def test_what_one_executor_left_behind_another_takes_up(tmp_path: Path, url: str) -> None:
    async with bench(tmp_path, ledgers.postgres(url)) as one, bench(tmp_path, ledgers.postgres(url)) as other:
        one.world.script("die")
        with pytest.raises(asyncio.CancelledError):
            await one.call("create")
        busy = await other.call("create")
        assert busy.error is not None and busy.error.kind == "unavailable" and busy.effect_possible
        other.ahead = timedelta(seconds=LEASE_SECONDS)
        assert (await other.call("create")).output_json and len(one.world.effects) == 1


async def test_leases_are_of_the_clock_of_the_database(url: str) -> None:
    async with opened(url) as ledger:
        assert isinstance(await ledger.claim(CLAIM), Granted)
        # An executor whose clock is an hour ahead takes nothing from another.
        ahead = replace(
            CLAIM, owner="you", now=NOW + timedelta(hours=1), lease_until=NOW + timedelta(hours=1, seconds=5)
        )
        assert isinstance(await ledger.claim(ahead), Refused)
        long_ago = NOW - timedelta(days=1)
        assert await ledger.renew("acme", "k", "me", now=long_ago, lease_until=long_ago + timedelta(milliseconds=1))
        await asyncio.sleep(0.01)
        assert await ledger.claim(ahead) == Granted(Step.ASK, 2, NOW, doubt=True)


async def test_two_executors_share_the_outbox(url: str) -> None:
    published = [Publication("acme/run", str(number).encode(), "") for number in range(4)]
    async with opened(url) as ledger, opened(url) as other:
        await ledger.publish_later(published)
        async with ledger.taken(2) as first, other.taken(9) as second:
            assert [one for _, one in first.waiting] == published[:2]
            assert [one for _, one in second.waiting] == published[2:]
            first.published.extend(number for number, _ in first.waiting)
        assert await waiting(other) == published[2:]


async def test_what_a_lost_executor_had_taken_is_there_again(url: str) -> None:
    async with opened(url) as other:
        async with opened(url) as ledger:
            await ledger.publish_later([PUBLICATION])
            taking = ledger.taken(1)
            await taking.__aenter__()
            assert await waiting(other) == []
            assert ledger._pool is not None
            ledger._pool.terminate()  # as a killed process leaves it
        async with asyncio.timeout(5):
            while not await waiting(other):
                await asyncio.sleep(0.01)


async def test_a_connection_that_breaks_is_replaced(cluster: Cluster, url: str) -> None:
    async with opened(url) as ledger:
        assert isinstance(await ledger.claim(CLAIM), Granted)
        # In the middle of a statement: it waits for a lock that the other holds, and is ended there.
        async with opened(url) as other, other._connection() as db, db.transaction():
            await db.execute("SELECT FROM factotum_effects FOR UPDATE")
            settling = asyncio.ensure_future(ledger.settle(settlement(CLAIM, State.DONE, observation=b"{}")))
            ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            async with asyncio.timeout(5):
                while await asyncio.to_thread(cluster.sql, ended) == "0":
                    await asyncio.sleep(0.01)
        assert await settling
        entry = await ledger.entry("acme", "k")
        assert entry is not None and entry.state is State.DONE


async def test_an_answer_that_was_lost_is_not_taken_for_another_owners(url: str) -> None:
    async with opened(url) as ledger:
        await ledger.claim(CLAIM)
        done = settlement(CLAIM, State.DONE, observation=b"{}", publications=(PUBLICATION,))
        for _ in range(2):  # as `_insist` sends it again
            assert await ledger.settle(done)
        assert await waiting(ledger) == [PUBLICATION]
        assert not await ledger.settle(replace(done, now=NOW + timedelta(seconds=1)))


async def test_where_the_tables_are_no_right_to_make_some_is_needed(cluster: Cluster, url: str) -> None:
    async with opened(url):
        pass
    schema = url.rpartition("%3D")[2]
    cluster.sql(
        f"CREATE ROLE {schema} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {schema}; "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {schema}"
    )
    async with opened(url.replace("tester", schema)) as ledger:
        assert isinstance(await ledger.claim(CLAIM), Granted)
        await ledger.publish_later([PUBLICATION])
        assert await waiting(ledger) == [PUBLICATION]


async def test_tables_of_the_first_version_are_brought_up_to_date(url: str) -> None:
    db = await asyncpg.connect(url)
    for statement in _VERSIONS[0]:
        await db.execute(statement)
    await db.execute(
        "CREATE TABLE factotum_ledger_version (version integer NOT NULL); "
        "INSERT INTO factotum_ledger_version VALUES (1); "
        "INSERT INTO factotum_effects (tenant, key, tool, tool_version, arguments_sha256, run_id, step, iteration, "
        'procedure, event_source, event_id, "user", state, attempts, started_at, updated_at) '
        "SELECT 'acme', key, 'fake.create', '1.0.0', repeat('0', 64), '', '', '', '', '', '', '', "
        "'started', 1, now(), now() FROM unnest(ARRAY['asked', 'repeated']) AS key"
    )
    await db.close()
    for _ in range(2):
        async with opened(url) as ledger:
            entry = await ledger.entry("acme", "asked")
            assert entry is not None and entry.idempotency is Idempotency.RECONCILE
    async with opened(url) as ledger:
        # Under which contract they were begun is not known: they are asked for, and not repeated.
        for key, present, step in (
            ("asked", Idempotency.RECONCILE, Step.ASK),
            ("repeated", Idempotency.NATIVE, Step.GIVE_UP),
        ):
            granted = await ledger.claim(replace(CLAIM, key=key, idempotency=present))
            assert isinstance(granted, Granted) and granted.step is step


async def test_tables_of_a_later_version_are_left_alone(url: str) -> None:
    async with opened(url) as ledger, ledger._connection() as db:
        await db.execute("UPDATE factotum_ledger_version SET version = 99")
    with pytest.raises(LedgerUnavailable, match="version 99"):
        async with opened(url):
            pass


async def test_two_make_the_tables_at_once(url: str) -> None:
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(opened(url)) for _ in range(4)))


async def test_it_is_written_through_whatever_the_database_says(url: str) -> None:
    async with opened(f"{url}&synchronous_commit=off") as ledger, ledger._connection() as db:
        assert await db.fetchval("SHOW synchronous_commit") == "on"


async def test_a_server_that_is_away_is_named_without_the_password() -> None:
    with pytest.raises(LedgerUnavailable, match="db\\.example\\.invalid/effects") as refused:
        async with opened("postgresql://factotum:hunter2@db.example.invalid/effects"):
            pass
    assert "hunter2" not in str(refused.value)
