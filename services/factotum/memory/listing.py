"""The records of a scope, newest first, a page at a time."""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.errors import InvalidRequest

DEFAULT_LIMIT, MAX_LIMIT = 100, 500


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a page ended; a later page holds what is greater."""

    older: int
    id: str

    @classmethod
    def of(cls, record: Record) -> Position:
        return cls(-record.created_at.ToMicroseconds(), record.id)

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


class _Last:
    """Orders a heap so that the position that comes last is let go first."""

    __slots__ = ("position",)

    def __init__(self, position: Position) -> None:
        self.position = position

    def __lt__(self, other: _Last) -> bool:
        return self.position > other.position
