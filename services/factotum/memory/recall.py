"""What a question to the memory means, and the way to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from factotum.api.memory.v1.memory_pb2 import RecallRequest, Recollection, Record, Why
from factotum.memory.asked import scope_of
from factotum.memory.embedders.changing import with_vectors
from factotum.memory.embedders.port import Embedder
from factotum.memory.errors import InvalidRequest
from factotum.memory.ranking import weights
from factotum.memory.ranking.asking import answering_first
from factotum.memory.ranking.found import Found, merged
from factotum.memory.ranking.neighbourhood import unseen
from factotum.memory.ranking.order import Ranked, ordered
from factotum.memory.ranking.parts import joined, parts
from factotum.memory.ranking.question import looked_for
from factotum.memory.ranking.versions import newest
from factotum.memory.records import checked_text
from factotum.memory.store.port import Candidate, Scope, Store, Stretch

DEFAULT_LIMIT = 10
MAX_LIMIT = 100


@dataclass(frozen=True)
class Query:
    """`budget` is in tokens, 0: no bound."""

    scope: Scope
    text: str
    limit: int
    budget: int = 0


def understand(request: RecallRequest, now: datetime) -> Query:
    """What has expired by now is not looked at. Raises `InvalidRequest`."""
    if not 0 <= request.limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit: must be between 0 and {MAX_LIMIT}")
    if request.budget_tokens < 0:
        raise InvalidRequest("budget_tokens: must not be negative")
    return Query(
        replace(scope_of(request), alive_at=now),
        text=checked_text(request.query, "query"),
        limit=request.limit or DEFAULT_LIMIT,
        budget=request.budget_tokens,
    )


class Recalling:
    """Answers questions from a store: two searches (a question of several parts: as many for each), and one reading of
    the best with their neighbours. What those push in among the best is there then; hardly ever is more to be read."""

    def __init__(self, store: Store, embedder: Embedder, now: Callable[[], datetime]) -> None:
        self._store = store
        self._embedder = embedder
        self._now = now

    async def recall(self, request: RecallRequest) -> list[Recollection]:
        """At most as many as the request's limit, best first, and within its budget.

        Raises `InvalidRequest`, `StoreUnavailable`, `EmbedderUnavailable` or `EmbedderRefused`.
        """
        now = self._now()
        query = understand(request, now)
        # With a budget, what is too long makes way for what comes after it.
        reach = query.limit if not query.budget else min(2 * query.limit, MAX_LIMIT)
        found = await self._found(query)
        ranked = ordered(found, query.text, now, max(reach + weights.SPARE, weights.LOOKED_UP_HITS))
        # Some turns may only ask: those after them take their place.
        read = reach + weights.SPARE if any(each.found.candidate.speaker for each in ranked[:reach]) else reach
        asked = [each.found.candidate for each in ranked[:read]]
        beside = unseen([each.found for each in ranked[: weights.LOOKED_UP_HITS]], found)
        standing = await self._store.standing(query.scope, *_at_once(asked, beside))
        whole = {each.candidate.id: each.whole for each in standing}
        missing: list[str] = []
        if others := _others([each.candidate for each in standing], beside, found):
            ranked = ordered(newest([*found, *others]), query.text, now, read)
            gone = {each.id for each in asked} - whole.keys()
            missing = [each.id for each in ranked[:read] if each.id not in whole and each.id not in gone]
        records = await self._store.get(query.scope.tenant, missing) if missing else {}
        records |= {each.id: whole[each.id]() for each in ranked[:read] if each.id in whole}
        return self._within(query, answering_first(ranked[:read], records)[:reach], records)

    async def _found(self, query: Query) -> list[Found]:
        whole, *of_parts = await asyncio.gather(
            *(self._look(query.scope, text, query.limit) for text in (query.text, *parts(query.text)))
        )
        return newest(joined(whole, of_parts))

    async def _look(self, scope: Scope, text: str, limit: int) -> list[Found]:
        async def look() -> tuple[list[Candidate], list[Candidate]]:
            vector = self._embedder.embed_query(text)
            return await self._store.search(scope, vector, looked_for(text), max(weights.CANDIDATES, limit))

        return merged(*await with_vectors(look))

    def _within(self, query: Query, ranked: Sequence[Ranked], found: Mapping[str, Record]) -> list[Recollection]:
        tokens = self._embedder.count_tokens([found[each.id].text for each in ranked])
        left = query.budget
        chosen: list[tuple[Ranked, int]] = []
        for each, length in zip(ranked, tokens, strict=True):
            if len(chosen) == query.limit:
                break
            if query.budget and length > left:
                continue
            chosen.append((each, length))
            left -= length
        given = {each.id for each, _ in chosen}
        return [
            Recollection(
                record=found[each.id],
                score=each.score,
                # Only what is in the answer can be pointed at.
                why=_why(each if each.neighbour_of in given else replace(each, neighbour_of="")),
                tokens=length,
            )
            for each, length in chosen
        ]


def _at_once(best: Sequence[Candidate], beside: Sequence[Stretch]) -> tuple[list[str], list[Stretch]]:
    """What to ask a store for to get both: ids, and stretches. A stretch that touches one of the best takes it in."""
    ids: list[str] = []
    stretches = list(beside)
    for each in best:
        at = each.position
        touched = [
            stretch
            for stretch in stretches
            if stretch.sequence == each.sequence and stretch.first - 1 <= at <= stretch.last + 1
        ]
        if not touched:
            ids.append(each.id)
            continue
        first, last = min(at, *(each.first for each in touched)), max(at, *(each.last for each in touched))
        stretches = [stretch for stretch in stretches if stretch not in touched]
        stretches.append(Stretch(each.sequence, first, last))
    return ids, stretches


def _others(standing: Iterable[Candidate], beside: Sequence[Stretch], found: Sequence[Found]) -> list[Found]:
    """Of what stands, that which no search found and was asked for as something beside."""
    known = {each.candidate.id for each in found}
    places = {(stretch.sequence, position) for stretch in beside for position in range(stretch.first, stretch.last + 1)}
    return [Found(each) for each in standing if each.id not in known and (each.sequence, each.position) in places]


def _why(each: Ranked) -> Why:
    return Why(
        meaning_rank=each.found.meaning_rank,
        meaning_score=each.found.meaning_score,
        words_rank=each.found.words_rank,
        words_score=each.found.words_score,
        relevance=each.found.relevance,
        recency=each.recency,
        importance=each.importance,
        neighbourhood=each.neighbourhood,
        neighbour_of=each.neighbour_of,
        duplicates=each.duplicates,
        speaker=each.speaker,
        asking=each.asking,
    )
