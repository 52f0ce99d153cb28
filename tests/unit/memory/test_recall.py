"""What a question means, and the way to its answer, on a store in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import (
    KIND_DOCUMENT,
    KIND_EPISODE,
    KIND_OBSERVATION,
    KIND_TOOL,
    RecallRequest,
    Recollection,
    Record,
)
from factotum.memory.embedders.port import Vectors
from factotum.memory.errors import InvalidRequest
from factotum.memory.recall import DEFAULT_LIMIT, MAX_LIMIT, Recalling, understand
from factotum.memory.records import completed
from factotum.memory.searched import searched
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Candidate, Entry, Scope, Standing, Stretch, Vector

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Letters:
    """An embedder whose vectors count letters; a token is a word."""

    fingerprint = "letters"
    dimension = 26

    async def embed(self, texts: Sequence[str]) -> Vectors:
        counts = np.array([[text.lower().count(chr(97 + index)) for index in range(26)] for text in texts], np.float32)
        counts = counts.reshape(-1, 26)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)

    async def embed_query(self, text: str) -> Vectors:
        (vector,) = await self.embed([text])
        return np.asarray(vector, np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Counted(InMemoryStore):
    """A store that tells how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def search(
        self, scope: Scope, vector: Vector | Awaitable[Vector], words: str, count: int
    ) -> tuple[list[Candidate], list[Candidate]]:
        self.calls.append("search")
        return await super().search(scope, vector, words, count)

    async def standing(self, scope: Scope, ids: Sequence[str], stretches: Sequence[Stretch]) -> list[Standing]:
        self.calls.append("standing")
        return await super().standing(scope, ids, stretches)

    async def get(self, tenant: str, ids: Sequence[str]) -> dict[str, Record]:
        self.calls.append("get")
        return await super().get(tenant, ids)


def record(text: str, **changes: Any) -> Record:
    return Record(kind=KIND_OBSERVATION, text=text, id=hashlib.sha256(text.encode()).hexdigest()[:8], **changes)


def turns(*texts: str, speaker: str = "Ann") -> list[Record]:
    return [
        record(text, place={"sequence": "talk", "position": position, "speaker": speaker})
        for position, text in enumerate(texts)
    ]


async def recalled(records: Sequence[Record], query: str, **changes: Any) -> list[Recollection]:
    store, letters = InMemoryStore(), Letters()
    kept = [completed("acme", each, NOW) for each in records]
    for each, sent in zip(kept, records, strict=True):
        # Nobody can send this: it is set where a newer record comes.
        if sent.HasField("superseded_at"):
            each.superseded_at.CopyFrom(sent.superseded_at)
    forms = [searched(each) for each in kept]
    vectors = await letters.embed(forms)
    await store.upsert([Entry("acme", *each) for each in zip(kept, forms, vectors, strict=True)])
    request = RecallRequest(tenant="acme", query=query, **changes)
    return await Recalling(store, letters, lambda: NOW).recall(request)


def texts(recollections: Sequence[Recollection]) -> list[str]:
    return [each.record.text for each in recollections]


async def test_the_best_comes_first_and_says_why() -> None:
    (first, second) = await recalled(
        [record("the boiler was repaired by Jonas"), record("lunch at noon")], "Who repaired the boiler?"
    )
    assert first.record.text == "the boiler was repaired by Jonas"
    assert (first.why.meaning_rank, first.why.words_rank) == (1, 1)
    assert first.why.meaning_score > second.why.meaning_score > 0
    assert first.why.words_score > 0
    assert (second.why.words_rank, second.why.words_score) == (0, 0)
    assert first.tokens == 6
    why = first.why
    parts = why.relevance + why.recency + why.importance + why.neighbourhood + why.speaker + why.asking
    assert first.score == pytest.approx(parts)


async def test_of_what_has_nothing_to_do_with_the_question_nothing_is_recalled() -> None:
    assert await recalled([record("zzz qqq"), record("xyz xyz")], "a boiler") == []
    assert texts(await recalled([record("zzz qqq"), record("old boiler")], "a boiler")) == ["old boiler"]


async def test_who_spoke_is_searched_and_is_not_in_the_text_given_back() -> None:
    said = [*turns("it was green", speaker="Zyx"), *turns("it was blue", speaker="Ann")]
    (first, *_) = await recalled(said, "Zyx")
    assert first.record.text == "it was green"
    assert first.record.place.speaker == "Zyx"


async def test_the_heading_that_a_chunk_stands_under_is_searched() -> None:
    chunks = [record("press it twice", provenance={"section": "Boiler > Reset"}), record("press it once")]
    assert texts(await recalled(chunks, "boiler"))[0] == "press it twice"


async def test_the_answer_beside_a_question_is_found_though_it_repeats_no_word() -> None:
    noise = [f"zzz {number} qqq" for number in range(40)]
    talk = turns(*noise[:20], "Did you find an apartment at last?", "Yes! Tuesday, with my sister", *noise[20:])
    found = await recalled(talk, "When did Bea find an apartment?", limit=3)
    assert texts(found)[0] == "Did you find an apartment at last?"
    assert "Yes! Tuesday, with my sister" in texts(found)
    beside = next(each for each in found if each.record.text.startswith("Yes"))
    assert beside.why.neighbour_of == found[0].record.id


async def test_a_turn_that_only_asks_makes_way_for_the_first_that_was_not_to_be_answered() -> None:
    asks, tells, *others = [
        "Where is our boiler?",
        "our boiler is there",
        *(f"zzz {number} qqq" for number in range(9)),
    ]
    said = [
        record(text, place={"sequence": str(place), "speaker": "Ann"})
        for place, text in enumerate([asks, tells, *others])
    ]
    assert texts(await recalled(said, "Is our boiler warm?", limit=1)) == [tells]
    why = next(each for each in await recalled(said, "Is our boiler warm?") if each.record.text == asks).why
    assert why.asking < 0


async def test_a_neighbour_that_no_search_reached_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.memory.ranking.weights.CANDIDATES", 1)
    talk = turns("hello", "Did you find an apartment?", "1 2 3", "bye")
    found = await recalled(talk, "find an apartment", limit=1)
    assert len(found) == 1
    found = await recalled(talk, "find an apartment", limit=3)
    assert "1 2 3" in texts(found)


async def test_the_newer_version_of_a_chunk_stands_though_no_search_reached_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.memory.ranking.weights.CANDIDATES", 1)
    old, new = (
        Record(kind=KIND_DOCUMENT, text=text, id=text[:3], place={"sequence": "guide", "position": 3})
        for text in ("old: press the boiler twice", "new: 1 2 3")
    )
    old.created_at.FromDatetime(NOW - timedelta(days=1))
    assert texts(await recalled([old], "press the boiler twice", limit=1)) == [old.text]
    assert texts(await recalled([old, new], "press the boiler twice", limit=1)) == [new.text]


async def test_what_moves_up_where_an_older_version_fell_out_is_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.memory.ranking.weights.CANDIDATES", 3)
    old, new = (
        Record(kind=KIND_DOCUMENT, text=text, id=text[:3], place={"sequence": "guide", "position": 3})
        for text in ("old: press the boiler twice", "new: 1 2 3")
    )
    old.created_at.FromDatetime(NOW - timedelta(days=1))
    others = [record("press the boiler, too"), record("the boiler is cold")]
    found = await recalled([old, new, *others], "press the boiler twice", limit=1)
    assert texts(found) == ["press the boiler, too"]


async def test_what_stands_at_the_place_of_a_hit_is_no_neighbour_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.memory.ranking.weights.CANDIDATES", 1)
    places = [("press the boiler twice", 3), ("1 2 3", 3), ("4 5 6", 4)]
    steps = [record(text, place={"sequence": "run", "position": position}) for text, position in places]
    noise = [record(f"other {number}") for number in range(9)]
    found = texts(await recalled([*steps, *noise], "press the boiler twice", limit=5))
    assert "4 5 6" in found
    assert "1 2 3" not in found


async def test_the_best_and_their_neighbours_are_read_at_once() -> None:
    store, letters = Counted(), Letters()
    talk = [completed("acme", each, NOW) for each in [*turns(*"abcdefgh"), *map(record, "ijk")]]
    forms = [searched(each) for each in talk]
    await store.upsert([Entry("acme", *each) for each in zip(talk, forms, await letters.embed(forms), strict=True)])
    request = RecallRequest(tenant="acme", query="d j", limit=6)
    assert len(await Recalling(store, letters, lambda: NOW).recall(request)) == 6
    assert store.calls == ["search", "standing"]


async def test_a_budget_is_filled_with_what_fits() -> None:
    records = [record("boiler " * 9), record("the boiler is old"), record("boiler")]
    found = await recalled(records, "boiler", budget_tokens=5)
    assert sum(each.tokens for each in found) <= 5
    assert len(found) == 2
    assert await recalled(records, "boiler", budget_tokens=1, limit=1) != []
    assert len(await recalled(records, "boiler")) == 3


@given(st.integers(0, 40), st.integers(1, 12))
async def test_neither_a_budget_nor_a_limit_is_exceeded(budget: int, limit: int) -> None:
    records = [record("boiler " * length, importance=length / 20) for length in range(1, 12)]
    found = await recalled(records, "boiler", budget_tokens=budget, limit=limit)
    assert len(found) <= limit
    assert not budget or sum(each.tokens for each in found) <= budget
    assert len({each.record.id for each in found}) == len(found)


async def test_only_subjects_times_and_what_stands_are_looked_at() -> None:
    ada = record("boiler of Ada", subjects=["Ada@Acme.example"])
    old = record("an old boiler", created_at=NOW - timedelta(days=9))
    gone = record("a boiler gone", expires_at=NOW)
    replaced = record("a boiler replaced", superseded_at=NOW)
    everything = [ada, old, gone, replaced]
    assert set(texts(await recalled(everything, "boiler"))) == {"boiler of Ada", "an old boiler"}
    assert texts(await recalled(everything, "boiler", subjects=["ada@acme.example"])) == ["boiler of Ada"]
    assert texts(await recalled(everything, "boiler", before=NOW - timedelta(days=1))) == ["an old boiler"]
    assert texts(await recalled(everything, "boiler", after=NOW - timedelta(days=1))) == ["boiler of Ada"]
    assert len(await recalled(everything, "boiler", history=True)) == 3


async def test_nothing_kept_is_nothing_recalled() -> None:
    assert await recalled([], "boiler") == []


def test_a_request_is_understood() -> None:
    request = RecallRequest(tenant="acme", query="q", kinds=[KIND_TOOL, KIND_EPISODE, KIND_TOOL], run_id="r")
    query = understand(request, NOW)
    assert query.scope.kinds == ("tool", "episode")
    assert query.scope.run_id == "r"
    assert query.scope.alive_at == NOW
    assert query.limit == DEFAULT_LIMIT
    assert understand(RecallRequest(tenant="acme", query="q", limit=MAX_LIMIT), NOW).limit == MAX_LIMIT


@pytest.mark.parametrize(
    "request_",
    [
        RecallRequest(tenant="", query="q"),
        RecallRequest(tenant='a" or tenant != "', query="q"),
        RecallRequest(tenant="acme", query=" "),
        RecallRequest(tenant="acme", query="x" * 8193),
        RecallRequest(tenant="acme", query="q", limit=-1),
        RecallRequest(tenant="acme", query="q", limit=101),
        RecallRequest(tenant="acme", query="q", kinds=[0]),
        RecallRequest(tenant="acme", query="q", run_id='r"'),
        RecallRequest(tenant="acme", query="q", run_id="r\\"),
        RecallRequest(tenant="acme", query="q", budget_tokens=-1),
        RecallRequest(tenant="acme", query="q", subjects=["a"] * 10 + [str(number) for number in range(33)]),
        RecallRequest(tenant="acme", query="q", after={"seconds": 2**62}),
        RecallRequest(tenant="acme", query="q", after={"seconds": 2}, before={"seconds": 1}),
        RecallRequest(tenant="acme", query="q", after={"seconds": 2}, before={"seconds": 2}),
    ],
)
def test_a_request_that_breaks_the_contract_is_refused(request_: RecallRequest) -> None:
    with pytest.raises(InvalidRequest):
        understand(request_, NOW)
