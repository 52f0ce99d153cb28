"""The ledger and the outbox in PostgreSQL: for several executors, on several machines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

import asyncpg
import structlog

from factotum.sdk.spec import Idempotency
from factotum.tool_executor import ledger_postgres_statements as statements
from factotum.tool_executor.calls import Origin
from factotum.tool_executor.errors import LedgerUnavailable
from factotum.tool_executor.ledger import (
    Claim,
    Decision,
    Entry,
    Granted,
    Publication,
    Settlement,
    State,
    Taken,
    begun_under,
    decide,
    resolved,
)
from factotum.tool_executor.ledger_postgres_schema import bring_up_to_date
from factotum.tool_executor.together import Together

log = structlog.get_logger(__name__)

A = TypeVar("A")
T = TypeVar("T")
# The pool gives out proxies, which have all methods of a connection.
Connection: TypeAlias = "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy"

# Seconds: for a connection, and for a statement with all that it waits for.
CONNECT_SECONDS, STATEMENT_SECONDS = 5.0, 10.0
LARGEST_POOL = 10
# Seconds between the tries of what must be known: whether a call may be made, and what came of it.
AGAIN_AFTER = (0.0, 0.2, 0.5, 1.0)
# How often a key may be deleted between two looks at it.
MOST_LOOKS = 5

# After these nobody knows whether the statement was carried out, or the server is about to be back.
_LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)

_SETTINGS = {
    "application_name": "factotum tool-executor",
    # Whatever the database's default: what has returned is on the disk.
    "synchronous_commit": "on",
    "timezone": "UTC",
    # One that lost its executor, and holds what that had taken out of the outbox.
    "idle_in_transaction_session_timeout": "60s",
}


class PostgresLedger:
    """A `Ledger`. Use as an async context manager: entering connects and makes what is missing of the tables.

    Takes connections to the server itself, or through a pooler that gives each client a session.

    Args:
        url: `postgresql://user:password@host:port/database`; what it leaves out is taken from the
            variables and files of libpq (PGPASSWORD, ~/.pgpass).
        database_clock: leases are of the database's clock, one for all executors. Otherwise of the
            clock of whoever asks, which must be the same one everywhere.
    """

    def __init__(self, url: str, *, ambiguous_retry_seconds: float, database_clock: bool = True) -> None:
        self._url = url
        self._ambiguous_retry = ambiguous_retry_seconds
        self._database_clock = database_clock
        self._pool: asyncpg.Pool | None = None
        # Of many calls at once each would be a statement, a round trip and a commit of its own.
        self._begun = Together(partial(self._each, self._begin))
        self._settled = Together(partial(self._each, _settle))
        self._possible = Together(partial(self._each, _possible))

    async def __aenter__(self) -> Self:
        with self._said():
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=LARGEST_POOL,
                timeout=CONNECT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
                server_settings=_SETTINGS,
                # Nothing of a session outlives a block of this module: there is nothing to reset.
                reset=_nothing,
            )
        try:
            async with self._connection() as db:
                await bring_up_to_date(db)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    async def claim(self, claim: Claim) -> Decision:
        if not claim.settle and await self._begun(claim):
            return decide(None, claim, ambiguous_retry_seconds=self._ambiguous_retry)
        return await self._insist(lambda db: self._claim(db, claim))

    async def renew(self, tenant: str, key: str, owner: str, *, now: datetime, lease_until: datetime) -> bool:
        async with self._connection() as db:
            values = (tenant, key, owner, self._clock(now), lease_until - now)
            return bool(await db.fetchval(statements.RENEW, *values))

    async def settle(self, settlement: Settlement) -> bool:
        return await self._settled(settlement) or await self._insist(lambda db: _was_settled(db, settlement))

    async def resolve(
        self,
        tenant: str,
        key: str,
        *,
        output_json: str | None,
        reason: str,
        now: datetime,
        publications: Sequence[Publication] = (),
    ) -> Entry:
        async with self._connection() as db, db.transaction():
            row = await db.fetchrow(statements.FIND_LOCKED, tenant, key, None)
            found = None if row is None else _entry(row)
            entry = resolved(found, tenant, key, output_json=output_json, reason=_text(reason), now=now)
            await db.execute(statements.RESOLVE, tenant, key, entry.state.value, entry.reason, entry.observation, now)
            await _put(db, publications)
            return entry

    async def entry(self, tenant: str, key: str) -> Entry | None:
        async with self._connection() as db:
            row = await db.fetchrow(statements.FIND, tenant, key)
            return None if row is None else _entry(row)

    async def effect_possible(self, tenant: str, key: str) -> bool:
        return await self._possible((tenant, key))

    async def entries(self, tenant: str, *, states: Sequence[State], limit: int, run_id: str) -> list[Entry]:
        async with self._connection() as db:
            chosen = [state.value for state in states or State]
            return [_entry(row) for row in await db.fetch(statements.LIST, tenant, chosen, run_id, limit)]

    async def publish_later(self, publications: Sequence[Publication]) -> None:
        async with self._connection() as db:
            await _put(db, publications)

    @asynccontextmanager
    async def taken(self, limit: int) -> AsyncIterator[Taken]:
        # The locks of the transaction are what keeps others away, and end with it or with this process.
        async with self._connection() as db, db.transaction():
            taken = Taken(
                [(row[0], Publication(row[1], row[2], row[3])) for row in await db.fetch(statements.TAKE, limit)]
            )
            failure: BaseException | None = None
            try:
                yield taken
            except BaseException as error:  # of the block: what was published by then is taken out all the same
                failure = error
            if taken.published:
                await db.execute(statements.TAKE_OUT, taken.published)
        if failure is not None:
            raise failure

    async def forget(self, before: datetime, *, limit: int) -> int:
        async with self._connection() as db:
            forgotten: int = await db.fetchval(statements.FORGET, before, limit)
            return forgotten

    async def _begin(self, db: Connection, claims: Sequence[Claim]) -> list[bool]:
        """Writes those whose keys are new, and says which."""
        rows = [
            (
                *(claim.tenant, claim.key, claim.tool, claim.tool_version, claim.arguments_sha256),
                *(claim.arguments_json, origin.run_id, origin.step, origin.iteration, origin.procedure),
                *(origin.event_source, origin.event_id, origin.user, claim.now, claim.owner),
                *(self._clock(claim.now), claim.lease_until - claim.now, claim.idempotency),
            )
            for claim in claims
            for origin in (claim.origin,)
        ]
        begun = {tuple(row) for row in await db.fetch(statements.BEGIN, *zip(*rows, strict=True))}
        return [(claim.tenant, claim.key, claim.owner) in begun for claim in claims]

    async def _claim(self, db: Connection, claim: Claim) -> Decision:
        """Of a key that was found to have an entry, or to settle."""
        clock, lease = self._clock(claim.now), claim.lease_until - claim.now
        for look in range(MOST_LOOKS):
            if look and not claim.settle and (await self._begin(db, [claim]))[0]:
                return decide(None, claim, ambiguous_retry_seconds=self._ambiguous_retry)
            async with db.transaction():
                row = await db.fetchrow(statements.FIND_LOCKED, claim.tenant, claim.key, clock)
                if row is None and not claim.settle:
                    continue  # forgotten since: it is a new key
                here = claim.now if row is None else row["here"]
                entry = None if row is None else _entry(row)
                decision = decide(entry, replace(claim, now=here), ambiguous_retry_seconds=self._ambiguous_retry)
                if isinstance(decision, Granted) and entry is not None:
                    await db.execute(
                        statements.TAKE_UP,
                        *(claim.tenant, claim.key, decision.attempt, claim.tool_version, claim.owner, here + lease),
                        *(claim.now, decision.doubt, claim.arguments_json, claim.arguments_sha256),
                        begun_under(entry, claim, decision),
                    )
                return decision
        raise LedgerUnavailable("a key comes and goes")

    def _clock(self, asker: datetime) -> datetime | None:
        """None: the database's."""
        return None if self._database_clock else asker

    async def _each(
        self, work: Callable[[Connection, Sequence[A]], Awaitable[list[bool]]], asked: Sequence[A]
    ) -> list[bool | Exception]:
        """Does the work for all of them at once. Of what PostgreSQL refuses each by itself: what it has against one
        of them is nothing against the others."""
        try:
            return [*await self._insist(lambda db: work(db, asked))]
        except LedgerUnavailable as error:
            if len(asked) == 1 or isinstance(error.__cause__, _LOST):
                return [error] * len(asked)
        return [result for one in asked for result in await self._each(work, [one])]

    async def _insist(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Does it again where the connection was lost, and with it the word whether it was done: it must bear
        that. A server that is started anew, or has another one in its place, is away for a moment only."""
        for wait in AGAIN_AFTER:
            try:
                async with self._connection() as db:
                    return await work(db)
            except LedgerUnavailable as error:
                # One that is too slow is not asked again: the caller has waited long enough.
                if not isinstance(error.__cause__, _LOST) or isinstance(error.__cause__, TimeoutError):
                    raise
                log.warning("the ledger is asked again", reason=str(error), seconds=wait)
            await asyncio.sleep(wait)
        async with self._connection() as db:
            return await work(db)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        if self._pool is None:
            raise LedgerUnavailable("the ledger is not open")
        with self._said():
            # Not the pool's own limit: that makes a task of each acquisition.
            async with asyncio.timeout(STATEMENT_SECONDS):
                db = await self._pool.acquire()
            try:
                yield db
            finally:
                await self._pool.release(db)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What goes wrong with PostgreSQL becomes `LedgerUnavailable`, without the password."""
        try:
            yield
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            where = urlsplit(self._url)
            place = f"{where.hostname or 'localhost'}{where.path}"
            reason = str(error) or type(error).__name__
            raise LedgerUnavailable(f"the ledger {place} in PostgreSQL cannot be used: {reason}") from error


async def _settle(db: Connection, settlements: Sequence[Settlement]) -> list[bool]:
    """Whether each was settled by this."""
    rows = [
        (
            *(one.tenant, one.key, one.owner, one.state.value, _text(one.reason), one.observation, one.reconciled),
            *(one.now, one.doubt, one.state in (State.STARTED, State.AMBIGUOUS)),
        )
        for one in settlements
    ]
    numbered = list(enumerate(settlements, 1))
    told = [(number, publication) for number, one in numbered for publication in one.publications]
    settled = await db.fetch(
        statements.SETTLE,
        *zip(*rows, strict=True),
        [number for number, _ in told],
        *_columns([publication for _, publication in told]),
    )
    numbers = {row["number"] for row in settled}
    return [number in numbers for number, _ in numbered]


async def _was_settled(db: Connection, settlement: Settlement) -> bool:
    """Whether it was by a statement whose answer was lost; otherwise it is nobody's business any more."""
    row = await db.fetchrow(statements.FIND, settlement.tenant, settlement.key)
    entry = None if row is None else _entry(row)
    return entry is not None and (
        (entry.lease_owner, entry.state, entry.updated_at, entry.observation)
        == (None, settlement.state, settlement.now, settlement.observation)
    )


async def _possible(db: Connection, keys: Sequence[tuple[str, str]]) -> list[bool]:
    rows = await db.fetch(statements.POSSIBLE, *zip(*keys, strict=True))
    found = {tuple(row) for row in rows}
    return [key in found for key in keys]


async def _put(db: Connection, publications: Sequence[Publication]) -> None:
    if publications:
        await db.execute(statements.PUT, *_columns(publications))


def _columns(publications: Sequence[Publication]) -> tuple[list[str], list[bytes], list[str]]:
    return (
        [one.message_key for one in publications],
        [one.value for one in publications],
        [one.traceparent for one in publications],
    )


def _text(said: str) -> str:
    """PostgreSQL keeps every character but this one, which a system's message may hold."""
    return said.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _entry(row: Any) -> Entry:
    return Entry(
        tenant=row["tenant"],
        key=row["key"],
        tool=row["tool"],
        tool_version=row["tool_version"],
        arguments_sha256=row["arguments_sha256"],
        origin=Origin(
            run_id=row["run_id"],
            step=row["step"],
            iteration=row["iteration"],
            procedure=row["procedure"],
            event_source=row["event_source"],
            event_id=row["event_id"],
            user=row["user"],
        ),
        idempotency=Idempotency(row["idempotency"]),
        state=State(row["state"]),
        attempts=row["attempts"],
        started_at=row["started_at"],
        updated_at=row["updated_at"],
        reason=row["reason"],
        observation=row["observation"],
        reconciled=row["reconciled"],
        lease_owner=row["lease_owner"],
        lease_until=row["lease_until"],
        doubt=row["doubt"],
        arguments_json=row["arguments_json"],
    )


async def _nothing(_: Connection) -> None:
    """What a connection needs before its next use."""
