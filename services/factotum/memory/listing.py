"""The records of a scope, newest first, a page at a time."""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.store.port import Scope, Store

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MOMENT, LAST_MOMENT = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
DEFAULT_LIMIT, MAX_LIMIT = 100, 500

# Stretches of time in which the newest records are looked for: the shortest, how much longer the next one is, and that
# beyond which the rest is taken whole.
SHORTEST, WIDER, LONGEST = timedelta(hours=1), 8, timedelta(days=20 * 365)
# A stretch with more records than that is halved, so often: they may all be of one moment.
MANY, HALVINGS = 2000, 8


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a page ended; a later page holds what is greater."""

    older: int
    id: str

    @classmethod
    def of(cls, record: Record) -> Position:
        return cls(-record.created_at.ToMicroseconds(), record.id)

    def moment(self) -> datetime:
        """Raises `InvalidRequest`."""
        try:
            return EPOCH - timedelta(microseconds=self.older)
        except OverflowError as error:
            raise InvalidRequest("page_token: not one that an answer gave") from error

    def token(self) -> str:
        return base64.urlsafe_b64encode(json.dumps([self.older, self.id]).encode()).decode()

    @classmethod
    def read(cls, token: str) -> Position | None:
        """None for the first page. Raises `InvalidRequest`."""
        if not token:
            return None
        try:
            older, identity = json.loads(base64.urlsafe_b64decode(token.encode()))
            return cls(int(older), str(identity))
        except (ValueError, TypeError) as error:
            raise InvalidRequest("page_token: not one that an answer gave") from error


async def page(records: AsyncIterator[Record], limit: int, after: Position | None) -> tuple[list[Record], str]:
    """The first `limit` records after a position, and the token of the next page, empty if there is none.

    Reads all of them each time and holds `limit`: a store gives them in no order of time.
    """
    kept: list[tuple[_Last, Record]] = []
    more = False
    async for record in records:
        position = Position.of(record)
        if after is not None and position <= after:
            continue
        entry = (_Last(position), record)
        if len(kept) < limit:
            heapq.heappush(kept, entry)
        else:
            more = True
            heapq.heappushpop(kept, entry)
    found = [record for _, record in sorted(kept, key=lambda entry: entry[0].position)]
    return found, Position.of(found[-1]).token() if more and found else ""


async def newest(
    store: Store, scope: Scope, limit: int, after: Position | None, now: datetime
) -> tuple[list[Record], str]:
    """As `page` of the scope, without reading all of it: a store counts many times faster than it reads, so the last
    stretch of time that holds enough is looked for first. Raises `InvalidRequest` for a position that none can have."""
    if after is not None:
        # Of the same microsecond some may follow.
        beneath = after.moment()
        if beneath < LAST_MOMENT:
            beneath += timedelta(microseconds=1)
            scope = replace(scope, before=beneath if scope.before is None else min(scope.before, beneath))
    span = SHORTEST
    while True:
        part, is_whole = await _stretch(store, scope, limit, span, now)
        found, token = await page(store.records(part), limit, after)
        # Records of the position's own microsecond were counted, and may all be before it.
        if token or is_whole:
            return found, token
        span = ((scope.before or now) - (part.after or now)) * WIDER


async def _stretch(store: Store, scope: Scope, limit: int, span: timedelta, now: datetime) -> tuple[Scope, bool]:
    """The last stretch of at least this span with more than `limit` records, and not with very many more where that can
    be; and whether it is all there is."""
    end, shorter = scope.before or now, timedelta(0)
    while True:
        if span > LONGEST or end - (scope.after or FIRST_MOMENT) <= span:
            return scope, True
        if (counted := await _count(store, scope, end - span)) > limit:
            break
        shorter, span = span, span * WIDER
    for _ in range(HALVINGS):
        if counted <= max(MANY, WIDER * limit):
            break
        middle = shorter + (span - shorter) / 2
        fewer = await _count(store, scope, end - middle)
        if fewer > limit:
            span, counted = middle, fewer
        else:
            shorter = middle
    return replace(scope, after=end - span), False


async def _count(store: Store, scope: Scope, since: datetime) -> int:
    return sum((await store.count(replace(scope, after=since))).values())


class _Last:
    """Orders a heap so that the position that comes last is let go first."""

    __slots__ = ("position",)

    def __init__(self, position: Position) -> None:
        self.position = position

    def __lt__(self, other: _Last) -> bool:
        return self.position > other.position
