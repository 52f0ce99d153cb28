"""What a question to the memory means, and which of the candidates answer it best. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, RecallRequest, Recollection, Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.records import checked_run_id, checked_tenant, checked_text, kind_name
from factotum.memory.store.port import Scope

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
# Reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009; 60 is the constant they found.
RANK_CONSTANT = 60
# A record that stands low in one list may still win through the other.
MIN_CANDIDATES = 50


@dataclass(frozen=True)
class Query:
    scope: Scope
    text: str
    limit: int

    @property
    def candidates(self) -> int:
        """How many records each of the two searches contributes."""
        return max(MIN_CANDIDATES, 2 * self.limit)


def understand(request: RecallRequest) -> Query:
    """Raises `InvalidRequest`."""
    if not 0 <= request.limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit: must be between 0 and {MAX_LIMIT}")
    return Query(
        Scope(
            tenant=checked_tenant(request.tenant),
            kinds=tuple(dict.fromkeys(map(kind_name, request.kinds))),
            run_id=checked_run_id(request.run_id),
        ),
        text=checked_text(request.query, "query"),
        limit=request.limit or DEFAULT_LIMIT,
    )


def fuse(by_meaning: Sequence[Record], by_words: Sequence[Record], limit: int) -> list[Recollection]:
    """The best of two rankings of one tenant's records, best first, each record once.

    The score is the sum of 1 / (60 + rank) over the lists that a record is in. An episode stands where
    the best observation of its run stands, if that is higher: what a part answers, the whole
    answers too, and tells the rest. Of two with the same score the episode comes first, then the newer.
    """
    records = {record.id: record for ranking in (by_meaning, by_words) for record in ranking}
    episodes = {record.run_id: record.id for record in records.values() if record.kind == KIND_EPISODE}
    scores = dict.fromkeys(records, 0.0)
    for ranking in (by_meaning, by_words):
        places: dict[str, int] = {}
        for rank, record in enumerate(ranking, start=1):
            for identity in {record.id, episodes.get(record.run_id, record.id)}:
                places.setdefault(identity, rank)
        for identity, rank in places.items():
            scores[identity] += 1 / (RANK_CONSTANT + rank)

    def order(identity: str) -> tuple[float, bool, int, str]:
        record = records[identity]
        return -scores[identity], record.kind != KIND_EPISODE, -record.created_at.ToMicroseconds(), identity

    best = sorted(scores, key=order)[:limit]
    return [Recollection(record=records[identity], score=scores[identity]) for identity in best]
