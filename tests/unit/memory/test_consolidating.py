"""What a consolidation reads and does, on the store in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from factotum.api.memory.v1.memory_pb2 import (
    KIND_DOCUMENT,
    KIND_EPISODE,
    KIND_OBSERVATION,
    KIND_PREFERENCE,
    KIND_THOUGHT,
    TRUST_MODEL,
    TRUST_SYSTEM,
    Kind,
    Record,
)
from factotum.memory.consolidating import BATCH_OF_FOLDS, EXPIRED, Consolidating, Done
from factotum.memory.errors import EmbedderRefused, EmbedderUnavailable
from factotum.memory.keeping import Keeping
from factotum.memory.records import derived_id
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Entry, Scope
from tests.support.keeping import keeping_on

NOW = datetime(2026, 11, 20, tzinfo=UTC)


class Store(InMemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    async def records(self, scope: Scope) -> AsyncIterator[Record]:
        async for record in super().records(scope):
            self.read.append(record.id)
            yield record

    async def keep(self, identity: str, kind: Kind.ValueType, *, expires: timedelta | None = None) -> None:
        record = Record(id=identity, kind=kind, text="mail.send. Failed.", attributes_json='{"tool":"mail.send"}')
        record.created_at.FromDatetime(NOW - timedelta(days=3))
        if expires is not None:
            record.expires_at.FromDatetime(NOW + expires)
        await self.upsert([Entry("acme", record, record.text, np.ones(1, np.float32))])


async def planned(store: Store) -> tuple[int, int]:
    """How many folds there would be, and how many records would be let go."""
    done = await Consolidating(store, cast(Any, None), lambda: NOW).consolidate("acme", dry_run=True)
    return len(done.folds), done.count(EXPIRED)


async def test_documents_and_thoughts_are_read_only_if_one_of_them_has_expired() -> None:
    store = Store()
    for number in range(3):
        await store.keep(f"o{number}", KIND_OBSERVATION, expires=timedelta(days=1))
        await store.keep(f"d{number}", KIND_DOCUMENT)
    await store.keep("thought", KIND_THOUGHT, expires=timedelta(seconds=1))
    assert await planned(store) == (1, 0)
    assert sorted(store.read) == ["o0", "o1", "o2"]
    await store.keep("old", KIND_THOUGHT, expires=timedelta(0))
    await store.keep("o3", KIND_OBSERVATION, expires=timedelta(0))
    assert await planned(store) == (1, 2)


class Embedder:
    def __init__(self) -> None:
        self.away = False
        self.refuses = "nothing"

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.away:
            raise EmbedderUnavailable("away")
        if any(self.refuses in text for text in texts):
            raise EmbedderRefused("not this one")
        return np.full((len(texts), 1), 0.5, np.float32)


class Bench:
    """Records of several tenants, and a consolidation of them all."""

    def __init__(self) -> None:
        self.store, self.embedder, self.now = InMemoryStore(), Embedder(), NOW
        self.keeping: Keeping = keeping_on(self.store, cast(Any, self.embedder), now=lambda: self.now)

    async def put(self, tenant: str, *records: Record) -> None:
        fates = await self.keeping.keep([(tenant, record) for record in records])
        assert {fate.reason for _, fate in fates} == {""}

    async def done(self, tenant: str = "", *, dry_run: bool = False) -> Done:
        return await Consolidating(self.store, self.keeping, lambda: self.now).consolidate(tenant, dry_run=dry_run)

    async def standing(self, tenant: str) -> dict[str, Record]:
        scope = Scope(tenant=tenant, history=True)
        return {record.id: record async for record in self.store.records(scope)}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def made(identity: str, kind: Kind.ValueType, text: str, attributes: Any, **more: Any) -> Record:
    record = Record(id=identity, kind=kind, text=text, attributes_json=json.dumps(attributes), **more)
    record.created_at.FromDatetime(NOW - timedelta(days=3))
    return record


def failures(count: int, tool: str = "mail.send", **more: Any) -> list[Record]:
    return [
        made(f"{tool}-{n}", KIND_OBSERVATION, f"{tool}. Failed: no answer in {n} ms.", {"tool": tool}, **more)
        for n in range(count)
    ]


def expired(identity: str) -> Record:
    record = made(identity, KIND_THOUGHT, "It was raining all day.", {})
    record.expires_at.FromDatetime(NOW + timedelta(hours=1))
    return record


# What anybody who may write to the memory may have put into it.
STRANGE: list[Record] = [
    made("p", KIND_PREFERENCE, "Ada likes the window seat", {"folded": "habit"}, subjects=["x"], topic="seat"),
    made("p", KIND_PREFERENCE, "Ada likes it", {"folded": "habit", "tool": [1], "argument": {}}, topic="seat"),
    made("e", KIND_EPISODE, "It was done again and again", {"folded": "repeated"}),
    made("e", KIND_EPISODE, "It was done again and again", {"folded": "repeated", "shape": "x", "count": "many"}),
    made("e", KIND_EPISODE, "It was done again and again", {"folded": ["repeated"], "first": "long ago"}),
    made("o", KIND_OBSERVATION, "flight.book with seat window", {"tool": "f.b", "arguments": ["seat"]}, subjects=["x"]),
    made("o", KIND_OBSERVATION, "flight.book with seat window", {"tool": {"a": 1}, "error": [2]}, subjects=["x"]),
    made(
        "o", KIND_OBSERVATION, "flight.book with seat", {"tool": "f.b", "arguments": {"x": {"y": []}}}, subjects=["x"]
    ),
]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda record: record.attributes_json)
async def test_no_record_of_one_tenant_stops_another_s(bench: Bench, strange: Record) -> None:
    await bench.put("aaa", strange, *failures(3))
    await bench.put("zzz", expired("old"), *failures(3))
    bench.now += timedelta(hours=1)
    done = await bench.done()
    assert (done.folded, done.count(EXPIRED), done.problems) == (6, 1, [])
    assert strange.id in await bench.standing("aaa")
    assert "old" not in await bench.standing("zzz")


async def test_a_tenant_that_cannot_be_read_is_told_of_and_the_others_are_done(bench: Bench) -> None:
    class Broken(InMemoryStore):
        async def records(self, scope: Scope) -> AsyncIterator[Record]:
            if scope.tenant == "aaa":
                raise ValueError("a row that nobody can read")
            async for record in super().records(scope):
                yield record

    bench.store = Broken()
    bench.keeping = keeping_on(bench.store, cast(Any, bench.embedder), now=lambda: bench.now)
    for tenant in ("aaa", "zzz"):
        await bench.put(tenant, *failures(3))
    done = await bench.done()
    assert done.folded == 3
    assert [(one.tenant, one.record) for one in done.problems] == [("aaa", "")]
    assert "a row that nobody can read" not in done.problems[0].reason, "it may hold what a record says"


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_fold_that_cannot_be_kept_does_not_keep_the_others(
    bench: Bench, dry_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "x" * 124
    many = failures(3)
    for record in many:
        record.id = f"{long}{record.id[-1]}"
    await bench.put("acme", *many, *failures(3, "chat.post"))
    monkeypatch.setattr("factotum.memory.records.MAX_PROVENANCE_BYTES", 300)
    done = await bench.done("acme", dry_run=dry_run)
    assert [fold.into.text.split()[0] for fold in done.folds] == ["chat.post"]
    ((problem),) = done.problems
    assert problem.tenant == "acme" and "provenance" in problem.reason
    assert {record.id for record in many} <= set(await bench.standing("acme"))


async def test_a_fold_that_the_embedder_does_not_take_does_not_keep_the_others(bench: Bench) -> None:
    await bench.put("acme", *failures(3), *failures(3, "chat.post"))
    bench.embedder.refuses = "mail.send"
    done = await bench.done("acme")
    assert [fold.into.text.split()[0] for fold in done.folds] == ["chat.post"]
    assert [problem.reason for problem in done.problems] == ["not this one"]


async def test_what_has_expired_goes_even_while_nothing_can_be_embedded(bench: Bench) -> None:
    for tenant in ("aaa", "zzz"):
        await bench.put(tenant, expired("old"), *failures(3))
    bench.now += timedelta(hours=1)
    bench.embedder.away = True
    with pytest.raises(EmbedderUnavailable):
        await bench.done()
    for tenant in ("aaa", "zzz"):
        assert "old" not in await bench.standing(tenant)
    bench.embedder.away = False
    assert (await bench.done()).folded == 6


@pytest.mark.parametrize(
    ("identity", "trust"),
    [
        ("mine", TRUST_MODEL),
        ("mine", TRUST_SYSTEM),
        (derived_id("acme", "repeated", "mail.send-0", "mail.send-1"), TRUST_MODEL),
    ],
)
async def test_nobody_s_record_removes_another(bench: Bench, identity: str, trust: Any) -> None:
    claim = made(identity, KIND_EPISODE, "Nothing ever failed.", {"folded": "repeated", "shape": "x"}, trust=trust)
    claim.provenance.folded_from.extend(["mail.send-0", "mail.send-1"])
    await bench.put("acme", claim, *failures(2))
    done = await bench.done("acme")
    assert set(await bench.standing("acme")) == {identity, "mail.send-0", "mail.send-1"}
    assert (done.folds, done.let_go) == ([], [])


async def test_folds_are_kept_a_batch_at_a_time_and_episodes_wait_for_nobody(bench: Bench) -> None:
    kept: list[list[Kind.ValueType]] = []
    keep = bench.keeping.keep

    async def watched(coming: Sequence[tuple[str, Record]]) -> Any:
        kept.append([record.kind for _, record in coming])
        return await keep(coming)

    tools = BATCH_OF_FOLDS + 1
    for n in range(tools):
        same = [
            made(
                f"{n}-{m}",
                KIND_OBSERVATION,
                f"tool{n}.call with zone UTC.",
                {"tool": f"tool-{n}", "arguments": {"zone": "UTC"}},
                subjects=[f"p-{n}"],
                run_id=f"run-{m}",
            )
            for m in range(3)
        ]
        await bench.put("acme", *same)
    bench.keeping.keep = watched  # type: ignore[method-assign]
    assert (await bench.done("acme")).folded == 3 * tools
    assert [len(kinds) for kinds in kept] == [BATCH_OF_FOLDS, 1, BATCH_OF_FOLDS, 1]
    assert all(len(set(kinds)) == 1 for kinds in kept)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_goes_is_told_before_and_after(bench: Bench, dry_run: bool) -> None:
    def flown(number: int, seat: str) -> Record:
        attributes = {"tool": "flight.book", "arguments": {"seat": seat}}
        return made(
            f"f{number}", KIND_OBSERVATION, f"flight.book {seat}.", attributes, subjects=["x"], run_id=f"{number}"
        )

    await bench.put("acme", *(flown(n, "window") for n in range(3)), expired("old"))
    await bench.done("acme")
    habit = next(one.id for one in (await bench.standing("acme")).values() if one.kind == KIND_PREFERENCE)
    await bench.put("acme", flown(3, "aisle"))
    bench.now += timedelta(hours=1)
    done = await bench.done("acme", dry_run=dry_run)
    assert {(one.id, one.kind, one.why) for one in done.let_go} == {
        ("old", KIND_THOUGHT, "expired"),
        (habit, KIND_PREFERENCE, "withdrawn"),
    }
    assert ({"old", habit} <= set(await bench.standing("acme"))) == dry_run
