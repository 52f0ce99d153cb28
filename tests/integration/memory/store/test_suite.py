"""What every store of records does: the same tests on Milvus Lite and on the double."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.memory.v1.memory_pb2 import (
    KIND_PREFERENCE,
    KIND_THOUGHT,
    TRUST_PERSON,
    Place,
    Provenance,
    Receipt,
    Record,
)
from factotum.memory.errors import EmbedderUnavailable, InvalidRequest
from factotum.memory.marks import mark_of
from factotum.memory.records import completed, content_sha256
from factotum.memory.store.port import Burial, Entry, Scope, Store, Stretch, Vector
from factotum.memory.store.rows import candidate_of
from tests.support.stores import NOW, entry, everywhere, ids, texts, vector

MINUTE = timedelta(minutes=1)


def at(moment: object) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)  # type: ignore[arg-type]
    return stamp


async def test_a_record_comes_back_as_it_went_in(each: Store) -> None:
    given = completed(
        "roundtrip",
        Record(
            id='an "id" \\ é',
            kind=KIND_THOUGHT,
            text="text with 'quotes', \"double\", back\\slash, \0 and 🙂",
            run_id="acme.employee-onboarding.ab12",
            origin="/tool-executor: 1\" or '2",
            attributes_json='{"list":[1,2.5,null,true,{"é":"\\"\\\\"}],"big":9223372036854775807,"empty":{}}',
            subjects=["Ada@Acme.example", 'e"1'],
            expires_at=at(NOW + timedelta(days=3, microseconds=7)),
            provenance=Provenance(
                step="/do/0/a", document='file:///"x"', document_version="a" * 64, section="A > B", person="p",
                folded_from=["1", '2"'],
            ),
            trust=TRUST_PERSON,
            place=Place(sequence='c"1', position=-3, speaker="Grace"),
            importance=0.123456789,
            topic="language",
        ),
        NOW,
    )  # fmt: skip
    given.superseded_at.FromDatetime(NOW + MINUTE)
    await each.upsert([Entry("roundtrip", given, "what is searched", vector())])
    assert (await each.get("roundtrip", [given.id, "other"])) == {given.id: given}
    scope = Scope(tenant="roundtrip", history=True)
    assert [record async for record in each.records(scope)] == [given]
    (near,), (worded,) = await each.search(scope, vector(), "searched", 10)
    assert near == replace(worded, score=near.score)
    assert near.score == pytest.approx(1, abs=1e-5)
    assert (near.id, near.kind, near.run_id, near.created_at) == (given.id, "thought", given.run_id, NOW)
    assert (near.importance, near.sequence, near.position, near.speaker) == (0.123456789, 'c"1', -3, "Grace")
    assert near.content_sha256 == content_sha256(given.text)
    assert ids((await each.search(scope, vector(), "quotes", 10))[1]) == [], "the text itself is not what is searched"


async def test_vectors_come_back_with_what_they_stand_for(each: Store) -> None:
    there, other = entry("vectors", "hello", seed=1, searched="Greetings\nhello"), entry("vectors", "world", seed=2)
    await each.upsert([there, other, entry("neighbour", "hello", id="theirs")])
    found = await each.vectors("vectors", [there.record.id, "theirs", "missing"])
    ((searched, found_vector),) = found.values()
    assert (list(found), searched) == ([there.record.id], "Greetings\nhello")
    assert found_vector == pytest.approx(vector(1))


async def test_the_least_record_comes_back_as_it_went_in(each: Store) -> None:
    given = entry("least", "hello", kind=KIND_PREFERENCE)
    await each.upsert([given])
    assert await each.get("least", [given.record.id]) == {given.record.id: given.record}


async def test_nothing_is_found_where_nothing_is_kept(each: Store) -> None:
    nowhere = Scope(tenant="nobody")
    assert await each.search(nowhere, vector(), "hello", 10) == ([], [])
    assert await each.get("nobody", ["x"]) == {}
    assert await each.get("nobody", []) == {}
    assert await each.count(nowhere) == {}
    assert await each.stretches(nowhere, [Stretch("s", 0, 9)]) == []
    assert await each.stretches(nowhere, []) == []
    assert await each.delete("nobody", ["x"]) == 0
    assert await each.delete("nobody", []) == 0
    assert await each.receipts("nobody") == []
    assert await each.buried("nobody", ["x"]) == {}
    await each.upsert([])
    await each.bury("nobody", [], Burial.FOLDED, NOW)
    assert "nobody" not in await each.tenants()


async def test_the_nearest_come_first_and_not_more_than_asked(each: Store) -> None:
    await each.upsert([entry("order", f"hello {'printer ' * (n + 1)}", id=str(n), seed=n) for n in range(5)])
    by_meaning, by_words = await each.search(Scope(tenant="order"), vector(3), "printers", 3)
    assert ids(by_meaning)[0] == "3"
    assert ids(by_words)[0] == "4"
    for ranking in (by_meaning, by_words):
        assert len(ranking) == 3
        assert [c.score for c in ranking] == sorted((c.score for c in ranking), reverse=True)


async def test_words_are_found_in_their_forms(each: Store) -> None:
    await each.upsert([entry("forms", "The employees were handing out laptops", id="x")])
    for words in ("employee", "handed", "LAPTOP", "the laptops"):
        assert ids((await each.search(Scope(tenant="forms"), vector(), words, 10))[1]) == ["x"], words
    for words in ("the", "nowhere-else", "lap"):
        assert ids((await each.search(Scope(tenant="forms"), vector(), words, 10))[1]) == [], words


async def test_the_same_id_replaces_in_every_index(each: Store) -> None:
    scope = Scope(tenant="once")
    await each.upsert([entry("once", "hello first", id="x")])
    await each.upsert([entry("once", "hello second", id="x"), entry("once", "hello new", id="y")])
    assert await everywhere(each, "once") == {"hello second", "hello new"}
    await each.delete("once", ["y"])
    # In one request, too, where Milvus Lite would keep the words of both.
    await each.upsert([entry("once", "hello third", id="x"), entry("once", "hello fourth", id="x")])
    assert await texts(each, scope) == (["hello fourth"], ["hello fourth"])
    assert await each.count(scope) == {"document": 1}
    assert (await each.search(scope, vector(), "third second first", 10))[1] == []


async def test_ids_belong_to_their_tenant(each: Store) -> None:
    await each.upsert([entry("first", "hello mine", id="x"), entry("second", "hello yours", id="x")])
    assert await everywhere(each, "first") == {"hello mine"}
    assert await each.delete("first", ["x"]) == 1
    assert await everywhere(each, "second") == {"hello yours"}
    assert {"second"} == {"first", "second"} & set(await each.tenants())
    await each.bury("first", ["x"], Burial.FORGOTTEN, NOW)
    assert await each.buried("second", ["x"]) == {}


async def test_a_scope_narrows_in_every_way_at_once_and_everywhere(each: Store) -> None:
    place = Place(sequence="s", position=1)
    await each.upsert(
        [
            entry("narrow", "hello plain", id="plain"),
            entry("narrow", "hello thought", id="thought", kind=KIND_THOUGHT, run_id="r1"),
            entry("narrow", "hello run", id="run", run_id="r1", subjects=["ada@acme.example", "e-1"]),
            entry("narrow", "hello other run", id="other", run_id="r2", subjects=["grace@acme.example"]),
            entry("narrow", "hello page", id="page", provenance=Provenance(document="http://d"), place=place),
            entry("narrow", "hello early", id="early", created_at=at(NOW - MINUTE), subjects=["ada@acme.example"]),
            entry("narrow", "hello late", id="late", created_at=at(NOW + MINUTE)),
            entry("narrow", "hello expired", id="expired", expires_at=at(NOW)),
            entry("narrow", "hello old", id="old", kind=KIND_PREFERENCE, superseded=NOW),
        ]
    )
    everything = {"plain", "thought", "run", "other", "page", "early", "late", "expired"}
    base = Scope(tenant="narrow")
    for scope, expected in (
        (base, everything),
        (replace(base, history=True), {*everything, "old"}),
        (replace(base, alive_at=NOW), everything - {"expired"}),
        (replace(base, alive_at=NOW - MINUTE), everything),
        (replace(base, kinds=("thought",)), {"thought"}),
        (replace(base, kinds=("thought", "preference")), {"thought"}),
        (replace(base, kinds=("thought", "preference"), history=True), {"thought", "old"}),
        (replace(base, kinds=("episode",)), set()),
        (replace(base, run_id="r1"), {"thought", "run"}),
        (replace(base, run_id="r1", kinds=("document",)), {"run"}),
        (replace(base, subjects=(" Ada@ACME.example ",)), {"run", "early"}),
        (replace(base, subjects=("ada@acme.example", "grace@acme.example")), {"run", "early", "other"}),
        (replace(base, subjects=("ada",)), set()),
        (replace(base, subjects=("ada@acme.example",), after=NOW), {"run"}),
        (replace(base, document="http://d"), {"page"}),
        (replace(base, document="http://"), set()),
        (replace(base, contents=(content_sha256("hello PLAIN"), content_sha256("hello  run"))), {"plain", "run"}),
        (replace(base, after=NOW), everything - {"early"}),
        (replace(base, before=NOW), {"early"}),
        (replace(base, after=NOW + MINUTE), {"late"}),
        (replace(base, after=NOW + MINUTE, before=NOW + MINUTE), set()),
    ):
        by_meaning, by_words = await each.search(scope, vector(), "hello", 100)
        assert set(ids(by_meaning)) == set(ids(by_words)) == expected, scope
        assert {record.id async for record in each.records(scope)} == expected, scope
        assert sum((await each.count(scope)).values()) == len(expected), scope
        places = await each.stretches(scope, [Stretch("s", 1, 1)])
        assert set(ids(places)) == expected & {"page"}, scope
    assert await each.count(base) == {"document": 7, "thought": 1}


async def test_stretches_give_the_places_that_there_are(each: Store) -> None:
    def turn(sequence: str, position: int) -> Entry:
        return entry(
            "turns", "hello", id=f"{sequence}{position}", place=Place(sequence=sequence, position=position, speaker="x")
        )

    await each.upsert([turn(sequence, position) for sequence in ('a"', "b") for position in range(-2, 8)])
    await each.upsert([entry("turns", "hello without a place", id="none"), entry("elsewhere", "hello", id="e")])
    found = await each.stretches(
        Scope(tenant="turns"), [Stretch('a"', 2, 4), Stretch('a"', 4, 5), Stretch("b", -9, -2), Stretch("", 0, 9)]
    )
    assert sorted(ids(found)) == ['a"2', 'a"3', 'a"4', 'a"5', "b-2"]
    assert {(c.sequence, c.position, c.speaker, c.score) for c in found if c.id == "b-2"} == {("b", -2, "x", 0.0)}
    assert await each.stretches(Scope(tenant="elsewhere"), [Stretch("b", -9, 9)]) == []


async def test_what_stands_with_ids_and_at_places_comes_whole_and_once(each: Store) -> None:
    turns = [
        entry("standing", f"hello {n}", id=f"{n}", place=Place(sequence="talk", position=n, speaker="x"))
        for n in range(60)
    ]
    late = entry("standing", "hello without a place", id="late", created_at=at(NOW + MINUTE))
    await each.upsert([*turns, late, entry("elsewhere", "hello", id="1", place=Place(sequence="talk", position=1))])
    by_id = {each.record.id: each.record for each in [*turns, late]}

    async def standing(scope: Scope, ids: list[str], *stretches: Stretch) -> set[str]:
        found = await each.standing(scope, ids, stretches)
        assert all(one.whole() == by_id[one.candidate.id] for one in found)
        assert all(one.candidate == candidate_of(by_id[one.candidate.id], 0.0) for one in found)
        assert len({one.candidate.id for one in found}) == len(found)
        return {one.candidate.id for one in found}

    scope = Scope(tenant="standing")
    assert await standing(scope, ["9", "late", "no"], Stretch("talk", 8, 10), Stretch("", 0, 9)) == {
        *("8", "9", "10", "late")
    }
    assert await standing(scope, ["late"]) == {"late"}
    assert await standing(scope, [], Stretch("talk", -3, 0), Stretch("talk", 59, 60)) == {"0", "59"}
    assert await standing(scope, [str(n) for n in range(50)]) == {str(n) for n in range(50)}
    odd = [Stretch("talk", n, n) for n in range(1, 60, 2)]
    elsewhere = [Stretch(f"talk {n}", 0, 9) for n in range(200)]
    assert await standing(scope, [str(n) for n in range(30)], *odd, *elsewhere) == {
        *(str(n) for n in range(60) if n < 30 or n % 2)
    }
    assert len(await each.stretches(scope, [*odd, *elsewhere])) == len(odd)
    assert await standing(Scope(tenant="standing", before=NOW + MINUTE), ["late", "7"]) == {"7"}
    assert await standing(Scope(tenant="nobody"), ["1"], Stretch("talk", 0, 9)) == set()
    assert await standing(scope, []) == set()


async def test_words_are_looked_for_with_a_vector_that_is_still_being_made(each: Store) -> None:
    await each.upsert([entry("awaited", "hello", id="x")])

    async def made() -> Vector:
        return vector()

    async def broken() -> Vector:
        raise EmbedderUnavailable("away")

    by_meaning, by_words = await each.search(Scope(tenant="awaited"), made(), "hello", 10)
    assert ids(by_meaning) == ids(by_words) == ["x"]
    with pytest.raises(EmbedderUnavailable):
        await each.search(Scope(tenant="awaited"), broken(), "hello", 10)


async def test_many_are_listed_and_deleted_completely(each: Store) -> None:
    many = [entry("many", f"hello {n}", id=str(n), seed=n) for n in range(1003)]
    await each.upsert(many)
    assert {record.id async for record in each.records(Scope(tenant="many"))} == {str(n) for n in range(1003)}
    assert await each.count(Scope(tenant="many")) == {"document": 1003}
    by_meaning, by_words = await each.search(Scope(tenant="many"), vector(), "hello", 1000)
    assert len(set(ids(by_meaning))) == len(set(ids(by_words))) == 1000
    assert len(await each.get("many", [str(n) for n in range(1003)])) == 1003
    assert await each.delete("many", [str(n) for n in range(1, 1003)]) == 1002
    assert await everywhere(each, "many") == {"hello 0"}


async def test_what_is_deleted_is_gone_and_may_come_again(each: Store) -> None:
    await each.upsert([entry("gone", "hello x", id="x"), entry("gone", "hello y", id="y")])
    assert await each.delete("gone", ["x", "x", "none"]) == 1
    assert await everywhere(each, "gone") == {"hello y"}
    assert await each.get("gone", ["x"]) == {}
    assert await each.delete("gone", ["x"]) == 0
    await each.upsert([entry("gone", "hello x again", id="x")])
    assert await everywhere(each, "gone") == {"hello y", "hello x again"}


async def test_what_is_buried_is_not_kept_again(each: Store) -> None:
    await each.upsert([entry("graves", "hello x", id="x")])
    await each.bury("graves", ["x", "never-there"], Burial.FOLDED, NOW)
    assert await everywhere(each, "graves") == {"hello x"}, "to bury is not to delete"
    await each.delete("graves", ["x"])
    await each.upsert([entry("graves", "hello x", id="x"), entry("graves", "hello z", id="z")])
    await each.upsert([entry("graves", "hello never", id="never-there")])
    assert await everywhere(each, "graves") == {"hello z"}
    assert await each.buried("graves", ["x", "z", "never-there"]) == {"x": Burial.FOLDED, "never-there": Burial.FOLDED}
    await each.bury("graves", ["x", "x"], Burial.FORGOTTEN, NOW)
    await each.bury("graves", ["x"], Burial.FOLDED, NOW)
    assert await each.buried("graves", ["x"]) == {"x": Burial.FORGOTTEN}, "the stronger reason stays"


async def test_receipts_are_kept_newest_first(each: Store) -> None:
    for number in range(3):
        receipt = Receipt(id=f"r{number}", removed={"document": number}, derived=1, searches=5)
        receipt.forgotten_at.FromDatetime(NOW + number * MINUTE)
        await each.keep_receipt("receipts", receipt)
    found = await each.receipts("receipts")
    assert [receipt.id for receipt in found] == ["r2", "r1", "r0"]
    assert (found[0].removed["document"], found[0].derived, found[0].searches) == (2, 1, 5)
    assert await each.receipts("others") == []


@pytest.mark.parametrize(
    "scope",
    [
        Scope(tenant='acme" or tenant != "'),
        Scope(tenant="acme\\"),
        Scope(tenant=""),
        Scope(tenant="acme", run_id='r" or tenant != "'),
        Scope(tenant="acme", run_id="r\\"),
        Scope(tenant="acme", run_id="r' or 1 == 1 or '"),
    ],
)
async def test_what_no_tenant_or_run_is_called_is_refused(each: Store, scope: Scope) -> None:
    for attempt in (
        each.search(scope, vector(), "hello", 10),
        each.count(scope),
        each.stretches(scope, [Stretch("s", 0, 1)]),
        each.records(scope).__anext__(),
    ):
        with pytest.raises(InvalidRequest):
            await attempt


@pytest.mark.parametrize("tenant", ['acme" or tenant != "', "acme\n", "", "ACME"])
async def test_what_no_tenant_is_called_is_refused_wherever_it_is_named(each: Store, tenant: str) -> None:
    good = entry("acme", "hello")
    for attempt in (
        each.upsert([replace(good, tenant=tenant)]),
        each.get(tenant, ["x"]),
        each.delete(tenant, ["x"]),
        each.bury(tenant, ["x"], Burial.FOLDED, NOW),
        each.buried(tenant, ["x"]),
        each.keep_receipt(tenant, Receipt(id="x")),
        each.receipts(tenant),
    ):
        with pytest.raises(InvalidRequest):
            await attempt


@pytest.mark.parametrize("words", ["???", '"', "\\", "the", "x" * 8000, "\0", "漢字", " "])
async def test_any_words_can_be_searched(each: Store, words: str) -> None:
    await each.upsert([entry("words", "hello", id="x")])
    await each.search(Scope(tenant="words"), vector(), words, 10)


async def test_all_is_prepared_anew_while_it_serves(each: Store) -> None:
    await each.upsert([entry("anew", f"hello {n}", id=str(n), seed=n) for n in range(30)])
    seen: list[tuple[int, int]] = []

    async def prepare(records: object) -> list[tuple[str, object]]:
        if not seen:
            raise AssertionError("progress begins at nothing done")
        await each.delete("anew", ["1"])
        await each.upsert([entry("anew", "hello new", id="new", seed=99, searched="already anew")])
        return [(f"anew {record.text}", vector(99)) for record in records]  # type: ignore[attr-defined]

    await each.reindex(prepare, lambda done, total: seen.append((done, total)))  # type: ignore[arg-type]
    assert seen[-1][0] == seen[-1][1] >= 30
    by_meaning, by_words = await each.search(Scope(tenant="anew"), vector(99), "anew", 100)
    expected = {"new", *map(str, range(30))} - {"1"}
    assert set(ids(by_meaning)) == set(ids(by_words)) == expected
    assert by_meaning[-1].score == pytest.approx(1, abs=1e-5)
    assert (await each.shape()).settled
    assert await everywhere(each, "anew", "anew") == {"hello new", *(f"hello {n}" for n in range(30) if n != 1)}


async def test_marks_stand_as_long_as_they_are_asked_for(each: Store) -> None:
    old = mark_of("marks", ("grace hopper", "7"), NOW - timedelta(days=2), "one")
    new = mark_of("marks", ("ada@acme.example", "e-4711"), NOW, "two")
    others = mark_of("marks2", ("ada@acme.example",), NOW, "two")
    for mark in (old, new, others, new):
        await each.mark(mark)
    ours = {mark for mark in await each.marks(NOW - timedelta(days=3)) if mark.tenant.startswith("marks")}
    assert ours == {old, new, others}
    assert set(await each.marks(NOW - timedelta(days=1))) >= {new, others}
    assert old not in await each.marks(NOW - timedelta(days=3)), "it is gone for good"
    assert "marks" not in await each.tenants()
    assert await each.receipts("marks") == []
