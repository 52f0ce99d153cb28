"""Forgetting, on both stores: what a person is named in goes, from every index, and is shown to be gone."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, KIND_OBSERVATION, Kind, Record
from factotum.memory.embedders.port import Embedder, Vectors
from factotum.memory.errors import InvalidRequest, StoreUnavailable
from factotum.memory.forgetting import BATCH, Forgetting, wanted
from factotum.memory.given_out import GivenOut
from factotum.memory.keeping import Keeping
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.refusals import Refusals
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Burial, Entry, Scope, Store

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADA = "ada@acme.example"
numbers = itertools.count()


@pytest.fixture(params=["in memory", "Milvus"])
def either_store(request: pytest.FixtureRequest) -> Store:
    found: Store = InMemoryStore() if request.param == "in memory" else request.getfixturevalue("store")
    return found


@pytest.fixture
def tenant() -> str:
    """One of its own for each test: the store is shared."""
    return f"tenant-{next(numbers)}"


@pytest.fixture
def recently() -> RecentlyForgotten:
    return RecentlyForgotten(lambda: "salt")


@pytest.fixture
def forgetting(either_store: Store, embedder: Embedder, recently: RecentlyForgotten) -> Forgetting:
    ids = itertools.count(1)
    return Forgetting(
        either_store,
        embedder,
        recently,
        passed=nothing_under_way,
        now=lambda: NOW,
        new_id=lambda: f"receipt-{next(ids)}",
    )


async def nothing_under_way() -> None:
    return


def record(
    identity: str, text: str, *, kind: Kind.ValueType = KIND_OBSERVATION, subjects: tuple[str, ...] = ()
) -> Record:
    made = Record(id=identity, kind=kind, text=text, subjects=subjects, attributes_json="{}", run_id="run-1")
    made.created_at.FromDatetime(NOW - timedelta(days=2))
    return made


def folded(identity: str, *sources: str) -> Record:
    made = record(identity, "mail.send failed 3 times", kind=KIND_EPISODE)
    made.provenance.folded_from.extend(sources)
    return made


async def keep(store: Store, embedder: Embedder, tenant: str, *records: Record) -> None:
    vectors = await embedder.embed([one.text for one in records])
    await store.upsert([Entry(tenant, one, one.text, vector) for one, vector in zip(records, vectors, strict=True)])


async def standing(store: Store, tenant: str) -> set[str]:
    return {one.id async for one in store.records(Scope(tenant=tenant, history=True))}


async def test_every_record_that_names_the_person_goes_and_no_other(
    either_store: Store, embedder: Embedder, forgetting: Forgetting, tenant: str
) -> None:
    by_attribute = record("by-attribute", "a call was made")
    by_attribute.attributes_json = json.dumps({"arguments": {"to": ADA}})
    await keep(
        either_store,
        embedder,
        tenant,
        record("by-subject", "an account was created", subjects=(ADA,)),
        record("by-text", f"a mail went to {ADA.title()}, who answered"),
        by_attribute,
        record("other", "a mail went to cada@acme.example", subjects=("cada@acme.example",)),
    )
    receipt = await forgetting.forget(wanted(tenant, [ADA], []))
    assert await standing(either_store, tenant) == {"other"}
    assert (dict(receipt.removed), receipt.derived) == ({"observation": 3}, 0)
    assert receipt.searches >= 2 + 2 * 3


async def test_what_was_made_from_the_records_goes_with_them(
    either_store: Store, embedder: Embedder, forgetting: Forgetting, tenant: str
) -> None:
    await keep(
        either_store,
        embedder,
        tenant,
        record("seen", "an account was created", subjects=(ADA,)),
        folded("once", "seen", "gone-long-ago"),
        folded("twice", "once"),
        folded("of-others", "gone-long-ago"),
    )
    receipt = await forgetting.forget(wanted(tenant, [ADA], []))
    assert await standing(either_store, tenant) == {"of-others"}
    assert (dict(receipt.removed), receipt.derived) == ({"observation": 1, "episode": 2}, 2)


async def test_a_record_that_was_folded_is_forgotten_by_its_id(
    either_store: Store, embedder: Embedder, forgetting: Forgetting, tenant: str
) -> None:
    await keep(either_store, embedder, tenant, folded("episode", "seen"), record("other", "another thing"))
    await forgetting.forget(wanted(tenant, [], ["seen"]))
    assert await standing(either_store, tenant) == {"other"}
    assert await either_store.buried(tenant, ["seen", "episode", "other"]) == {
        "seen": Burial.FORGOTTEN,
        "episode": Burial.FORGOTTEN,
    }


async def test_ids_of_which_nothing_is_known_leave_no_receipt_and_are_refused_later(
    embedder: Embedder, forgetting: Forgetting, recently: RecentlyForgotten, tenant: str
) -> None:
    store = InMemoryStore()
    forgetting = Forgetting(
        store, embedder, recently, passed=nothing_under_way, now=lambda: NOW, new_id=lambda: "receipt"
    )
    assert (await forgetting.forget(wanted(tenant, [], ["nonsense"]))).id == ""
    assert await store.receipts(tenant) == []
    assert await store.buried(tenant, ["nonsense"]) == {"nonsense": Burial.FORGOTTEN}
    assert (await forgetting.forget(wanted(tenant, [], ["nonsense"]))).id, "what had begun comes to its end"


async def test_nothing_of_another_tenant_goes(
    either_store: Store, embedder: Embedder, forgetting: Forgetting, tenant: str
) -> None:
    other = f"{tenant}-other"
    await keep(either_store, embedder, tenant, record("same", "an account", subjects=(ADA,)))
    await keep(either_store, embedder, other, record("same", "an account", subjects=(ADA,)))
    await forgetting.forget(wanted(tenant, [ADA], []))
    assert (await standing(either_store, tenant), await standing(either_store, other)) == (set(), {"same"})


async def test_the_receipt_stays_and_says_nothing_of_the_person(
    either_store: Store, embedder: Embedder, forgetting: Forgetting, tenant: str
) -> None:
    await keep(either_store, embedder, tenant, record("seen", "an account of Ada Lovelace", subjects=(ADA,)))
    receipt = await forgetting.forget(wanted(tenant, [ADA, "Ada Lovelace"], []))
    assert await either_store.receipts(tenant) == [receipt]
    assert "ada" not in str(receipt).lower() and "lovelace" not in str(receipt).lower()


async def test_a_dry_run_counts_and_leaves_all(
    either_store: Store, embedder: Embedder, forgetting: Forgetting, tenant: str, recently: RecentlyForgotten
) -> None:
    seen = record("seen", "an account", subjects=(ADA,))
    await keep(either_store, embedder, tenant, seen, folded("made", "seen"))
    receipt = await forgetting.forget(wanted(tenant, [ADA], []), dry_run=True)
    assert (dict(receipt.removed), receipt.derived, receipt.id) == ({"observation": 1, "episode": 1}, 1, "")
    assert await standing(either_store, tenant) == {"seen", "made"}
    assert await either_store.receipts(tenant) == []
    assert not await either_store.buried(tenant, ["seen", "made"])
    assert not recently.concerns(tenant, seen)


async def test_an_export_is_what_forgetting_would_remove(
    either_store: Store, embedder: Embedder, forgetting: Forgetting, tenant: str
) -> None:
    mine = record("seen", "an account", subjects=(ADA,))
    await keep(either_store, embedder, tenant, mine, folded("made", "seen"), record("other", "another thing"))
    exported = {one.id: one async for one in forgetting.export(wanted(tenant, [ADA], []))}
    assert set(exported) == {"seen", "made"}
    assert exported["seen"].text == mine.text


async def test_what_is_still_on_its_way_is_known(
    embedder: Embedder, forgetting: Forgetting, tenant: str, recently: RecentlyForgotten
) -> None:
    await forgetting.forget(wanted(tenant, [ADA], []))
    late, later = (record("late", "an account", subjects=(ADA,)) for _ in range(2))
    later.created_at.FromDatetime(NOW + timedelta(seconds=1))
    assert recently.concerns(tenant, late)
    assert not recently.concerns("another", late)
    assert not recently.concerns(tenant, later), "what happened after she was forgotten is kept"


async def test_what_was_being_kept_when_it_was_forgotten_is_not_there_afterwards(
    either_store: Store, embedder: Embedder, tenant: str, recently: RecentlyForgotten
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        """Embeds once it is told to go on."""

        async def embed(self, texts: Sequence[str]) -> Vectors:
            begun.set()
            await go_on.wait()
            return await embedder.embed(texts)

    keeping = Keeping(
        either_store,
        cast(Embedder, Slow()),
        given_out=GivenOut(),
        forgotten=recently,
        refusals=Refusals(),
        now=lambda: NOW,
    )
    forgetting = Forgetting(
        either_store, embedder, recently, passed=keeping.passed, now=lambda: NOW, new_id=lambda: "receipt"
    )
    keeping_it = asyncio.ensure_future(keeping.keep([(tenant, record("late", "an account", subjects=(ADA,)))]))
    await begun.wait()
    forgetting_it = asyncio.ensure_future(forgetting.forget(wanted(tenant, [ADA], [])))
    await asyncio.sleep(0.05)
    go_on.set()
    await asyncio.gather(keeping_it, forgetting_it)
    assert await standing(either_store, tenant) == set()


async def test_what_keeps_coming_back_is_not_said_to_be_forgotten(
    embedder: Embedder, tenant: str, recently: RecentlyForgotten
) -> None:
    class Haunted(InMemoryStore):
        async def delete(self, tenant: str, ids: object) -> int:
            return 0

    store = Haunted()
    await keep(store, embedder, tenant, record("seen", "an account", subjects=(ADA,)))
    forgetting = Forgetting(
        store, embedder, recently, passed=nothing_under_way, now=lambda: NOW, new_id=lambda: "receipt"
    )
    with pytest.raises(StoreUnavailable, match="forget again"):
        await forgetting.forget(wanted(tenant, [ADA], []))
    assert await store.receipts(tenant) == []


async def test_an_index_that_still_finds_it_is_noticed(
    embedder: Embedder, tenant: str, recently: RecentlyForgotten
) -> None:
    class Stale(InMemoryStore):
        """Neither lists nor counts what was removed, but a search still finds it."""

        hidden = False

        async def delete(self, tenant: str, ids: object) -> int:
            self.hidden = True
            return 1

        async def records(self, scope: Scope) -> AsyncIterator[Record]:
            if not self.hidden:
                async for one in super().records(scope):
                    yield one

        async def count(self, scope: Scope) -> dict[str, int]:
            return {} if self.hidden else await super().count(scope)

    store = Stale()
    await keep(store, embedder, tenant, record("seen", "an account", subjects=(ADA,)))
    forgetting = Forgetting(
        store, embedder, recently, passed=nothing_under_way, now=lambda: NOW, new_id=lambda: "receipt"
    )
    with pytest.raises(StoreUnavailable, match="still found"):
        await forgetting.forget(wanted(tenant, [ADA], []))


async def test_what_is_written_meanwhile_goes_too(
    either_store: Store, embedder: Embedder, forgetting: Forgetting, tenant: str
) -> None:
    async def write() -> None:
        for number in range(20):
            await keep(either_store, embedder, tenant, record(f"w{number}", f"account {number}", subjects=(ADA,)))

    writing = asyncio.ensure_future(write())
    await asyncio.sleep(0.05)
    await asyncio.gather(writing, _forgotten(forgetting, tenant))
    await _forgotten(forgetting, tenant)
    assert await standing(either_store, tenant) == set()


async def _forgotten(forgetting: Forgetting, tenant: str) -> None:
    while True:
        try:
            await forgetting.forget(wanted(tenant, [ADA], []))
            return
        except StoreUnavailable:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("subjects", "ids"), [([], []), (["ada@acme.example"], ["x"]), ([" "], []), ([], ["x" * 129]), ([], ["a\nb"])]
)
def test_a_request_that_says_nothing_clear_is_refused(subjects: list[str], ids: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        wanted("acme", subjects, ids)


def test_a_tenant_must_be_one() -> None:
    with pytest.raises(InvalidRequest, match="tenant"):
        wanted('a" or tenant != "', [ADA], [])


class Paged(InMemoryStore):
    """Counts what was read of it, and what was deleted at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.deleted: list[int] = []

    async def records(self, scope: Scope) -> AsyncIterator[Record]:
        async for one in super().records(scope):
            self.read += 1
            yield one

    async def delete(self, tenant: str, ids: Sequence[str]) -> int:
        self.deleted.append(len(ids))
        return await super().delete(tenant, ids)


async def test_however_many_they_are_a_few_hundred_are_held(
    embedder: Embedder, tenant: str, recently: RecentlyForgotten
) -> None:
    store = Paged()
    vector = (await embedder.embed(["an account"]))[0]
    many = [record(f"seen-{n}", "an account", subjects=(ADA,)) for n in range(2 * BATCH + 10)]
    # Named before what it was made from is come across, and by what was made from that.
    made = [folded(f"made-{n}", f"made-{n - 1}" if n else f"seen-{2 * BATCH}") for n in reversed(range(4))]
    others = [record("other", "an account"), folded("of-others", "other")]
    await store.upsert([Entry(tenant, one, one.text, vector) for one in (*made, *many, *others)])
    forgetting = Forgetting(store, embedder, recently, passed=nothing_under_way, now=lambda: NOW, new_id=lambda: "r")

    exported = forgetting.export(wanted(tenant, [ADA], []))
    first = await anext(exported)
    assert store.read <= len(made) + BATCH
    rest = [one async for one in exported]
    assert {first.id, *(one.id for one in rest)} == {one.id for one in (*made, *many)}
    assert [one.id for one in rest[-4:]] == ["made-0", "made-1", "made-2", "made-3"]

    dry = await forgetting.forget(wanted(tenant, [ADA], []), dry_run=True)
    receipt = await forgetting.forget(wanted(tenant, [ADA], []))
    assert dict(receipt.removed) == dict(dry.removed) == {"observation": len(many), "episode": 4}
    assert (receipt.derived, dry.derived) == (4, 4)
    assert store.deleted == [BATCH, BATCH, 10, 4]
    assert await standing(store, tenant) == {"other", "of-others"}


async def test_what_is_made_of_the_records_while_they_go_goes_too(
    embedder: Embedder, tenant: str, recently: RecentlyForgotten
) -> None:
    class Consolidated(Paged):
        async def delete(self, tenant: str, ids: Sequence[str]) -> int:
            if not self.deleted:
                # Looked through already, or so a store may say; and what it was made from is gone.
                await keep(self, embedder, tenant, folded("made", "seen"))
            return await super().delete(tenant, ids)

    store = Consolidated()
    await keep(store, embedder, tenant, record("seen", "an account", subjects=(ADA,)))
    forgetting = Forgetting(store, embedder, recently, passed=nothing_under_way, now=lambda: NOW, new_id=lambda: "r")
    receipt = await forgetting.forget(wanted(tenant, [ADA], []))
    assert (await standing(store, tenant), receipt.derived) == (set(), 1)


class Unlisted(InMemoryStore):
    """Leaves a record out of each of its first listings."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    async def records(self, scope: Scope) -> AsyncIterator[Record]:
        left_out = self._times > 0
        self._times -= 1
        async for one in super().records(scope):
            if not left_out or one.id != "hidden":
                yield one


async def forgetting_on(store: Store, embedder: Embedder, tenant: str) -> Forgetting:
    await keep(store, embedder, tenant, record("seen", f"{ADA} called"), record("hidden", f"{ADA} called again"))
    recently = RecentlyForgotten(lambda: "salt")
    return Forgetting(
        store, embedder, recently, passed=nothing_under_way, now=lambda: NOW, new_id=lambda: "receipt"
    )  # fmt: skip


async def test_a_record_that_a_listing_left_out_is_looked_for_again(embedder: Embedder, tenant: str) -> None:
    store = Unlisted(times=2)
    receipt = await (await forgetting_on(store, embedder, tenant)).forget(wanted(tenant, [ADA], []))
    assert sum(receipt.removed.values()) == 2
    assert await store.get(tenant, ["hidden"]) == {}


async def test_nothing_is_called_forgotten_or_exported_that_is_never_listed(embedder: Embedder, tenant: str) -> None:
    forgetting = await forgetting_on(Unlisted(times=1000), embedder, tenant)
    asked = wanted(tenant, [ADA], [])
    with pytest.raises(StoreUnavailable, match="1 records more than it lists"):
        await forgetting.forget(asked, dry_run=True)
    with pytest.raises(StoreUnavailable, match="1 records more than it lists"):
        assert [one.id async for one in forgetting.export(asked)] == ["seen"]
    with pytest.raises(StoreUnavailable, match="1 records more than it lists"):
        await forgetting.forget(asked)
