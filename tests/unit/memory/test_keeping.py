"""What becomes of records that are to be kept, on the store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from factotum.api.memory.v1.memory_pb2 import (
    KIND_DOCUMENT,
    KIND_OBSERVATION,
    KIND_PREFERENCE,
    KIND_PROCEDURE,
    KIND_THOUGHT,
    TRUST_MODEL,
    TRUST_PERSON,
    Kept,
    Place,
    Record,
)
from factotum.memory.errors import InvalidRequest
from factotum.memory.given_out import GivenOut
from factotum.memory.keeping import Keeping
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.refusals import Refusals
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Burial, Entry, Scope
from tests.support.keeping import keeping_on

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LUNCH = "The cafeteria serves lunch between noon and two."


class Embedder:
    def __init__(self) -> None:
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return np.full((len(texts), 4), 0.5, np.float32)


class Store(InMemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    async def upsert(self, entries: Sequence[Entry]) -> None:
        self.written += [entry.record.id for entry in entries]
        await asyncio.sleep(0)  # others may come in between, as with a real store
        await super().upsert(entries)


class Bench:
    def __init__(self) -> None:
        self.store, self.given_out, self.forgotten = Store(), GivenOut(), RecentlyForgotten(lambda: "salt")
        self.refusals, self.now = Refusals(), NOW
        self.embedder: Any = Embedder()
        self.keeping = Keeping(
            self.store,
            self.embedder,
            given_out=self.given_out,
            forgotten=self.forgotten,
            refusals=self.refusals,
            now=lambda: self.now,
        )

    async def keep(self, *records: Record, tenant: str = "acme") -> list[str]:
        """What became of each, as `kept`, `unchanged` or the reason."""
        answers = await self.keeping.keep([(tenant, record) for record in records])
        return [fate.reason or Kept.Result.Name(fate.result).removeprefix("RESULT_").lower() for _, fate in answers]

    async def all(self, tenant: str = "acme") -> dict[str, Record]:
        return {record.id: record async for record in self.store.records(Scope(tenant=tenant, history=True))}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def document(text: str = LUNCH, **fields: Any) -> Record:
    return Record(kind=KIND_DOCUMENT, text=text, **fields)


def observation(identity: str = "o1", text: str = "mail.send. Answered: nothing.") -> Record:
    return Record(id=identity, kind=KIND_OBSERVATION, text=text, created_at={"seconds": int(NOW.timestamp())})


def preference(text: str, day: int | None = None, **fields: Any) -> Record:
    record = Record(**{"kind": KIND_PREFERENCE, "text": text, "subjects": ["Ada"], "topic": "drink", **fields})
    if day is not None:
        record.created_at.FromDatetime(NOW + timedelta(days=day))
    return record


async def test_what_comes_again_is_neither_embedded_nor_written_again(bench: Bench) -> None:
    batch = [observation("o1"), document(), preference("tea", 1)]
    assert await bench.keep(*batch) == ["kept"] * 3
    before, texts, written = await bench.all(), list(bench.embedder.texts), list(bench.store.written)
    bench.now += timedelta(days=1)
    assert await bench.keep(*reversed(batch), *batch) == ["unchanged"] * 6
    assert await bench.all() == before
    assert (bench.embedder.texts, bench.store.written) == (texts, written)
    assert not bench.refusals.of("acme")


async def test_within_one_batch_the_last_of_an_id_stands(bench: Bench) -> None:
    assert await bench.keep(document("first", id="a"), document("second", id="a")) == ["kept", "kept"]
    assert [record.text for record in (await bench.all()).values()] == ["second"]
    assert bench.store.written == ["a"]


async def test_a_chunk_with_the_same_words_and_another_version_is_written(bench: Bench) -> None:
    chunk = document(id="c", provenance={"document": "file:a", "document_version": "a" * 64})
    assert await bench.keep(chunk) == ["kept"]
    chunk.provenance.document_version = "b" * 64
    assert await bench.keep(chunk) == ["kept"]
    assert (await bench.all())["c"].provenance.document_version == "b" * 64


async def test_a_record_is_not_known_by_itself(bench: Bench) -> None:
    assert await bench.keep(document(id="a"), document(id="a", attributes_json='{"new": 1}')) == ["kept", "kept"]
    assert await bench.keep(document(id="a", attributes_json='{"new": 2}')) == ["kept"]


async def test_a_refused_replacement_leaves_what_stands(bench: Bench) -> None:
    await bench.keep(document(id="a"))
    assert await bench.keep(document("--", id="a")) == ["too_short"]
    assert (await bench.all())["a"].text == LUNCH


async def test_what_is_known_is_not_kept_twice(bench: Bench) -> None:
    assert await bench.keep(document(id="a"), document(LUNCH.upper(), id="b")) == ["kept", "known"]
    assert await bench.keep(document(id="c")) == ["known"]
    assert await bench.keep(document(id="c", subjects=["ada"])) == ["kept"]
    assert await bench.keep(document(id="c"), tenant="globex") == ["kept"]
    assert set(await bench.all()) == {"a", "c"}
    assert bench.refusals.of("acme") == {"known": 2}
    assert bench.refusals.of("globex") == {}


async def test_what_is_searched_as_before_is_not_embedded_again(bench: Bench) -> None:
    def chunk(identity: str, text: str, version: str, position: int) -> Record:
        provenance = {"document": "file:///a", "document_version": version * 64, "section": "Leave"}
        return document(text, id=identity, provenance=provenance, place={"sequence": "file:///a", "position": position})

    first, second = "Thirty days a year.", "Call your manager by nine."
    await bench.keep(chunk("a", first, "1", 0), chunk("b", second, "1", 1))
    before = await bench.store.vectors("acme", ["a"])
    bench.embedder.texts.clear()
    changed = [chunk("new", "Leave is granted.", "2", 0), chunk("a", first, "2", 1), chunk("b", "Call by ten.", "2", 2)]
    assert await bench.keep(*changed) == ["kept"] * 3
    assert bench.embedder.texts == ["Leave\nLeave is granted.", "Leave\nCall by ten."]
    standing = await bench.all()
    assert [standing[each].place.position for each in ("new", "a", "b")] == [0, 1, 2]
    after = await bench.store.vectors("acme", ["a"])
    assert after["a"][0] == before["a"][0] and (after["a"][1] == before["a"][1]).all()
    moved = chunk("a", first, "3", 1)
    moved.provenance.section = "Holiday"
    await bench.keep(moved)
    assert bench.embedder.texts[2:] == [f"Holiday\n{first}"], "the section is searched, too"


async def test_a_tenant_s_vectors_are_its_own(bench: Bench) -> None:
    await bench.keep(document(id="a"))
    bench.embedder.texts.clear()
    await bench.keep(document(id="a"), tenant="globex")
    assert bench.embedder.texts == [LUNCH]


async def test_the_same_words_at_two_places_and_of_two_events_are_two_records(bench: Bench) -> None:
    turns = [document("Yes, thanks!", place=Place(sequence="talk", position=n)) for n in range(2)]
    assert await bench.keep(*turns, observation("o1"), observation("o2")) == ["kept"] * 4
    assert await bench.keep(observation("o3")) == ["kept"]


async def test_the_steps_of_a_run_stand_in_the_order_of_their_coming(bench: Bench) -> None:
    def step(identity: str, text: str = "mail.send. Answered: nothing.", run: str = "acme.x.1") -> Record:
        return Record(id=identity, kind=KIND_OBSERVATION, text=text, run_id=run, created_at={"seconds": 1_795_000_000})

    async def places() -> dict[str, tuple[str, int]]:
        return {key: (record.place.sequence, record.place.position) for key, record in (await bench.all()).items()}

    thought = Record(kind=KIND_THOUGHT, id="why", text="Chose x.", run_id="acme.x.1")
    await bench.keep(thought, step("a"), step("other", run="acme.x.2"))
    await bench.keep(step("c"), step("b"), step("a"))  # the last comes again
    first = {"why": ("acme.x.1", 0), "a": ("acme.x.1", 1), "c": ("acme.x.1", 2), "b": ("acme.x.1", 3)}
    assert await places() == {**first, "other": ("acme.x.2", 0)}
    assert await bench.keep(step("b"), step("c"), step("a", "mail.send. Failed.")) == ["unchanged", "unchanged", "kept"]
    assert await places() == {**first, "other": ("acme.x.2", 0)}
    # What is gone leaves a gap; nobody takes a place that another has.
    await bench.store.delete("acme", ["c"])
    assert await bench.keep(observation("nobody's"), step("d")) == ["kept", "kept"]
    assert (await places())["d"] == ("acme.x.1", 4)
    assert (await places())["nobody's"] == ("", 0)
    await asyncio.gather(*(bench.keep(step(f"at once {n}")) for n in range(4)))
    assert len(set((await places()).values())) == len(await places())


async def test_a_person_confirms_what_a_model_said_but_not_the_other_way_round(bench: Bench) -> None:
    assert await bench.keep(document(id="a", trust=TRUST_MODEL), document(id="b", trust=TRUST_PERSON)) == [
        "kept",
        "kept",
    ]
    assert await bench.keep(document(id="c", trust=TRUST_MODEL)) == ["known"]


async def test_what_has_expired_is_not_known(bench: Bench) -> None:
    end = {"seconds": int(NOW.timestamp()) + 60}
    await bench.keep(document(id="a", expires_at=end))
    bench.now += timedelta(minutes=2)
    assert await bench.keep(document(id="b")) == ["kept"]


async def test_what_was_recalled_does_not_come_back(bench: Bench) -> None:
    await bench.keep(document(id="a"))
    bench.given_out.note("acme", [LUNCH])
    thoughts = [Record(kind=KIND_THOUGHT, text=text) for text in (LUNCH, f"- {LUNCH}", f"{LUNCH} So I go at one.")]
    assert await bench.keep(*thoughts) == ["recalled", "recalled", "kept"]
    assert await bench.keep(document(LUNCH, trust=TRUST_MODEL, subjects=["ada"])) == ["recalled"]
    assert await bench.keep(document(id="a")) == ["unchanged"]
    assert await bench.keep(thoughts[0], tenant="globex") == ["kept"]


async def test_what_was_forgotten_or_folded_does_not_come_back(bench: Bench) -> None:
    await bench.store.bury("acme", ["o1"], Burial.FORGOTTEN, NOW)
    await bench.store.bury("acme", ["o2"], Burial.FOLDED, NOW)
    assert await bench.keep(observation("o1"), observation("o2"), observation("o3")) == ["forgotten", "known", "kept"]
    bench.forgotten.note("acme", ("ada@acme.example",), NOW)
    late = [observation("o4", "mail.send with to ada@acme.example. Answered: nothing."), document(id="d")]
    assert await bench.keep(*late) == ["forgotten", "kept"]
    assert bench.embedder.texts == [observation().text, LUNCH]


async def test_who_is_forgotten_elsewhere_while_it_is_embedded_is_not_kept(bench: Bench) -> None:
    """By another process on the same server."""
    elsewhere = RecentlyForgotten(lambda: "another salt")

    class Shared(Store):
        is_shared = True

    class Slow(Embedder):
        async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if not self.texts:
                await store.mark(elsewhere.note("acme", ("ada@acme.example",), NOW))
            return await super().embed(texts)

    store = Shared()
    keeping = keeping_on(store, cast(Any, Slow()), forgotten=bench.forgotten, now=lambda: NOW)
    late = observation("o4", "mail.send with to ada@acme.example. Answered: nothing.")
    fates = await keeping.keep([("acme", late), ("acme", document(id="d"))])
    assert [fate.reason for _, fate in fates] == ["forgotten", ""]
    assert store.written == ["d"]


async def test_the_newest_preference_stands_and_the_older_are_history(bench: Bench) -> None:
    assert await bench.keep(preference("coffee", 3), preference("tea", 1)) == ["kept", "older"]
    assert await bench.keep(preference("water", 2)) == ["older"]
    assert await bench.keep(preference("juice", 9)) == ["kept"]
    records = sorted((await bench.all()).values(), key=lambda record: record.created_at.ToMicroseconds())
    since = [
        (r.superseded_at.ToDatetime(tzinfo=UTC) - NOW).days if r.HasField("superseded_at") else None for r in records
    ]
    assert [record.text for record in records] == ["tea", "water", "coffee", "juice"]
    assert since == [2, 3, 9, None]


@pytest.mark.parametrize("drinks", [("tea", "coffee"), ("coffee", "tea")])
async def test_of_two_preferences_in_one_request_the_later_stands(bench: Bench, drinks: tuple[str, str]) -> None:
    assert await bench.keep(*map(preference, drinks)) == ["kept", "kept"]
    assert [r.text for r in (await bench.all()).values() if not r.HasField("superseded_at")] == [drinks[1]]


async def test_a_preference_that_holds_again_stands_again(bench: Bench) -> None:
    for text in ("tea", "coffee", "tea"):
        bench.now += timedelta(days=1)
        assert await bench.keep(preference(text)) == ["kept"]
    assert [r.text for r in (await bench.all()).values() if not r.HasField("superseded_at")] == ["tea"]
    assert await bench.keep(preference("tea")) == ["unchanged"]
    assert await bench.keep(preference("tea"), preference("tea")) == ["unchanged", "unchanged"]
    assert await history(bench) == [("tea", 1, 2), ("coffee", 2, 3), ("tea", 3, None)]


async def history(bench: Bench) -> list[tuple[str, int, int | None]]:
    """Of each preference its text, the day of its time, and the day on which it was superseded."""
    return sorted(
        (
            (
                record.text,
                (record.created_at.ToDatetime(tzinfo=UTC) - NOW).days,
                (record.superseded_at.ToDatetime(tzinfo=UTC) - NOW).days if record.HasField("superseded_at") else None,
            )
            for record in (await bench.all()).values()
        ),
        key=lambda each: each[1],
    )


@pytest.mark.parametrize("days", list(permutations(range(1, 5))))
async def test_history_is_whole_in_whatever_order_it_comes(bench: Bench, days: tuple[int, ...]) -> None:
    drinks = {1: "tea", 2: "coffee", 3: "tea", 4: "tea"}
    for day in (*days, days[0], days[-1]):
        await bench.keep(preference(drinks[day], day))
    assert await history(bench) == [
        (drinks[day], day, day + 1 if day < len(drinks) else None) for day in range(1, len(drinks) + 1)
    ]


async def test_under_one_id_a_weaker_word_or_another_kind_takes_nobody_s_place(bench: Bench) -> None:
    said, seen = preference("tea", 1, id="p", trust=TRUST_PERSON), observation("o1")
    await bench.keep(said, seen, document(id="d", trust=TRUST_PERSON))
    before = await bench.all()
    coming = [
        preference("coffee", 3, id="p", trust=TRUST_MODEL),
        preference("coffee", 3, id="p"),
        Record(kind=KIND_THOUGHT, text="I had rather not.", id="p", trust=TRUST_PERSON),
        Record(kind=KIND_THOUGHT, text="It was never sent.", id="o1", trust=TRUST_MODEL),
        observation("d"),
    ]
    assert await bench.keep(*coming) == ["outranked"] * 5
    assert await bench.keep(document(id="d", trust=TRUST_MODEL)) == ["known"]
    assert await bench.all() == before
    # It is free for whoever comes first, within a batch, too.
    assert await bench.keep(observation("new"), document(id="new")) == ["kept", "outranked"]
    await bench.keep(document("Rumours", id="r", trust=TRUST_MODEL))
    assert await bench.keep(document("Facts", id="r")) == ["kept"]


async def test_a_chunk_may_come_to_be_of_another_kind(bench: Bench) -> None:
    chunk = document(id="c", provenance={"document": "file:a"})
    await bench.keep(chunk)
    chunk.kind = KIND_PROCEDURE
    assert await bench.keep(chunk) == ["kept"]


@pytest.mark.parametrize("changes", [{}, {"topic": "breakfast", "subjects": ["bob"]}, {"topic": ""}])
@pytest.mark.parametrize("days", list(permutations([1, 2, 3])))
async def test_under_one_id_the_older_preferences_are_history(
    bench: Bench, days: tuple[int, ...], changes: dict[str, Any]
) -> None:
    coming = {
        1: preference("tea", 1, id="p"),
        2: preference("coffee", 2, id="p", **changes),
        3: preference("water", 3, id="p"),
    }
    newest = 0
    for day in days:
        newest = max(day, newest)
        assert await bench.keep(coming[day]) == ["kept" if day == newest else "older"]
    told = await history(bench)
    assert [text for text, _, _ in told] == ["tea", "coffee", "water"]
    assert [since is None for _, _, since in told] == [False, False, True]
    if not changes:
        assert told == [("tea", 1, 2), ("coffee", 2, 3), ("water", 3, None)]
    before = await bench.all()
    assert before["p"].text == "water"
    assert await bench.keep(*(coming[day] for day in days)) == ["unchanged"] * 3
    assert await bench.all() == before


async def test_a_person_s_word_under_a_model_s_id_makes_history_of_that(bench: Bench) -> None:
    guessed, told = preference("tea", 3, id="p", trust=TRUST_MODEL), preference("coffee", 1, id="p", trust=TRUST_PERSON)
    assert await bench.keep(guessed, told, guessed) == ["kept", "kept", "unchanged"]
    assert await history(bench) == [("coffee", 1, None), ("tea", 3, 3)]
    await bench.store.bury("acme", ["p"], Burial.FORGOTTEN, NOW)
    await bench.store.delete("acme", ["p"])
    assert await bench.keep(told, guessed) == ["forgotten", "forgotten"]


async def test_what_is_counted_on_leaves_no_history(bench: Bench) -> None:
    for times in (3, 4):
        counted = preference(f"window ({times} times)", times, id="p", provenance={"folded_from": ["o1", "o2"]})
        assert await bench.keep(counted) == ["kept"]
    assert await history(bench) == [("window (4 times)", 4, None)]


async def test_the_id_of_a_preference_said_again_is_that_of_the_one_that_stands(bench: Bench) -> None:
    ((first, _),) = await bench.keeping.keep([("acme", preference("tea"))])
    bench.now += timedelta(days=1)
    ((again, _),) = await bench.keeping.keep([("acme", preference("tea"))])
    assert again == first
    # Nor does a model's word take the place of a system's, or change whose it is.
    assert await bench.keep(preference("tea", trust=TRUST_MODEL)) == ["known"]
    assert await bench.keep(preference("tea", trust=TRUST_PERSON)) == ["kept"]
    assert len(await bench.all()) == 2


async def test_preferences_that_come_at_once_see_each_other(bench: Bench) -> None:
    await asyncio.gather(*(bench.keep(preference(f"drink {n}", n)) for n in range(5)))
    assert [r.text for r in (await bench.all()).values() if not r.HasField("superseded_at")] == ["drink 4"]


class Gated(Embedder):
    """Embeds a text with `slow` in it when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let = asyncio.Event(), asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any("slow" in text for text in texts):
            self.begun.set()
            await self.let.wait()
        return await super().embed(texts)


async def test_nobody_waits_for_what_another_has_embedded(bench: Bench) -> None:
    gate = Gated()
    keeping = keeping_on(bench.store, cast(Any, gate), forgotten=bench.forgotten, now=lambda: NOW)
    slow = asyncio.ensure_future(keeping.keep([("acme", preference("slow", 1)), ("acme", preference("coffee", 4))]))
    await gate.begun.wait()
    async with asyncio.timeout(1):
        await keeping.keep([("globex", preference("tea", 2))])
        await keeping.keep([("acme", preference("tea", 2))])
    assert not slow.done()
    gate.let.set()
    await slow
    assert await history(bench) == [("slow", 1, 2), ("tea", 2, 4), ("coffee", 4, None)]
    assert sorted(gate.texts) == ["coffee", "slow", "tea", "tea"], "each was embedded once, of each tenant"


async def test_steps_that_come_at_once_have_places_of_their_own(bench: Bench) -> None:
    gate = Gated()
    keeping = keeping_on(bench.store, cast(Any, gate), forgotten=bench.forgotten, now=lambda: NOW)

    def step(name: str) -> tuple[str, Record]:
        return "acme", Record(id=name, kind=KIND_OBSERVATION, text=f"mail.send {name}", run_id="acme.x.1")

    slow = asyncio.ensure_future(keeping.keep([step("slow")]))
    await gate.begun.wait()
    await keeping.keep([step("quick")])
    gate.let.set()
    await slow
    assert {key: record.place.position for key, record in (await bench.all()).items()} == {"quick": 0, "slow": 1}


async def test_a_kill_between_two_writes_of_a_preference_is_made_good(bench: Bench) -> None:
    await bench.keep(preference("coffee", 3, id="c"))
    alone = (await bench.all())["c"]
    other = Bench()
    await other.keep(preference("tea", 1, id="t"))
    await other.store.upsert([Entry("acme", alone, alone.text, np.full(4, 0.5, np.float32))])
    assert await other.keep(preference("coffee", 3, id="c")) == ["unchanged"]
    assert (await other.all())["t"].HasField("superseded_at")


async def test_a_fault_says_which_record_and_nothing_is_kept(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match=r"records\[1\]\.text"):
        await bench.keep(document(), document(" "))
    assert not await bench.all()
    assert await bench.keep() == []
