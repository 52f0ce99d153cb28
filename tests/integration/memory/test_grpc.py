"""Remember and Recall over gRPC, on the real embedder and a real Milvus Lite."""

from typing import Any

import grpc
import pytest

from factotum.api.memory.v1 import memory_pb2
from factotum.api.memory.v1.memory_pb2 import (
    KIND_DOCUMENT,
    KIND_EPISODE,
    KIND_PREFERENCE,
    KIND_THOUGHT,
    TRUST_MODEL,
    Kept,
    RecallRequest,
    Record,
    RememberRequest,
)
from factotum.api.memory.v1.memory_pb2_grpc import MemoryServiceStub

FACTS = [
    "Employees are entitled to thirty days of paid vacation a year.",
    "Error E-4711 means that the printer's fuser overheated.",
    "Error E-4712 means that the printer ran out of paper.",
    "The cafeteria serves lunch between noon and two.",
    "New laptops are handed out on the first Monday of a month.",
]


async def remember(memory: MemoryServiceStub, tenant: str, *texts: str, **fields: Any) -> list[str]:
    records = [Record(**{"kind": KIND_DOCUMENT, "text": text, **fields}) for text in texts]
    answer = await memory.Remember(RememberRequest(tenant=tenant, records=records))
    return list(answer.ids)


async def recall(memory: MemoryServiceStub, tenant: str, query: str, **fields: Any) -> list[str]:
    answer = await memory.Recall(RecallRequest(tenant=tenant, query=query, **fields))
    return [found.record.text for found in answer.recollections]


async def test_found_by_meaning_and_by_the_exact_word(memory: MemoryServiceStub) -> None:
    await remember(memory, "acme", *FACTS)
    # No word in common: found by meaning.
    assert (await recall(memory, "acme", "How long may I be on holidays?"))[0] == FACTS[0]
    # Two texts of nearly the same meaning: told apart by the word.
    assert (await recall(memory, "acme", "E-4711"))[0] == FACTS[1]
    assert (await recall(memory, "acme", "E-4712"))[0] == FACTS[2]


async def test_scores_fall_and_the_limit_holds(memory: MemoryServiceStub) -> None:
    await remember(memory, "many", *(f"note number {number}" for number in range(30)))
    answer = await memory.Recall(RecallRequest(tenant="many", query="note"))
    assert len(answer.recollections) == 10
    scores = [found.score for found in answer.recollections]
    assert scores == sorted(scores, reverse=True)
    assert len(await recall(memory, "many", "note", limit=25)) == 25
    assert len(await recall(memory, "many", "note", limit=100)) == 30


async def test_the_same_text_is_kept_once_and_ids_come_in_order(memory: MemoryServiceStub) -> None:
    first = await remember(memory, "same", "one", "two", "one")
    assert first[0] == first[2] != first[1]
    assert await remember(memory, "same", "two", "one") == [first[1], first[0]]
    assert sorted(await recall(memory, "same", "one two", limit=100)) == ["one", "two"]


async def test_a_record_with_a_known_id_replaces_it(memory: MemoryServiceStub) -> None:
    assert await remember(memory, "change", "likes tea", id="drink", kind=KIND_PREFERENCE) == ["drink"]
    await remember(memory, "change", "likes coffee", id="drink", kind=KIND_PREFERENCE)
    assert await recall(memory, "change", "tea") == ["likes coffee"]


async def test_kinds_runs_and_tenants_confine(memory: MemoryServiceStub) -> None:
    await remember(memory, "scope", "an episode about Ada", kind=KIND_EPISODE, run_id="scope.p.1")
    await remember(memory, "scope", "a document about Ada", run_id="scope.p.2")
    await remember(memory, "elsewhere", "a secret about Ada")
    assert await recall(memory, "scope", "Ada", kinds=[KIND_EPISODE]) == ["an episode about Ada"]
    assert await recall(memory, "scope", "Ada", run_id="scope.p.2") == ["a document about Ada"]
    assert "a secret about Ada" not in await recall(memory, "scope", "a secret about Ada", limit=100)
    assert await recall(memory, "nobody", "Ada") == []


@pytest.mark.parametrize(
    ("method", "request_", "named"),
    [
        ("Remember", RememberRequest(tenant="A", records=[Record(kind=KIND_DOCUMENT, text="x")]), "tenant"),
        ("Remember", RememberRequest(tenant="acme", records=[Record(text="x")]), "records[0].kind"),
        (
            "Remember",
            RememberRequest(
                tenant="acme",
                records=[Record(kind=KIND_DOCUMENT, text="x"), Record(kind=KIND_DOCUMENT, text="x" * 8193)],
            ),
            "records[1].text",
        ),
        ("Remember", RememberRequest(tenant="acme", records=[Record(kind=KIND_DOCUMENT, text="x")] * 501), "501"),
        ("Recall", RecallRequest(tenant="acme", query=""), "query"),
        ("Recall", RecallRequest(tenant="acme", query="q", limit=101), "limit"),
        ("Recall", RecallRequest(tenant='a"', query="q"), "tenant"),
        ("Recall", RecallRequest(tenant="acme", query="q", run_id='" or tenant != "'), "run_id"),
        ("Recall", RecallRequest(tenant="acme", query="q", kinds=[77]), "kind"),
    ],
)
async def test_bad_input_is_an_invalid_argument_that_says_where(
    memory: MemoryServiceStub, method: str, request_: Any, named: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(memory, method)(request_)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert named in (caught.value.details() or "")


async def test_nothing_of_a_refused_request_is_kept(memory: MemoryServiceStub) -> None:
    records = [Record(kind=KIND_DOCUMENT, text="good"), Record(kind=KIND_DOCUMENT, text="")]
    with pytest.raises(grpc.aio.AioRpcError):
        await memory.Remember(RememberRequest(tenant="whole", records=records))
    assert await recall(memory, "whole", "good") == []
    assert await memory.Remember(RememberRequest(tenant="whole")) == memory_pb2.RememberResponse()


async def fates(memory: MemoryServiceStub, tenant: str, *records: Record) -> list[str]:
    answer = await memory.Remember(RememberRequest(tenant=tenant, records=records))
    return [fate.reason or Kept.Result.Name(fate.result) for fate in answer.kept]


async def test_the_answer_says_what_became_of_each(memory: MemoryServiceStub) -> None:
    first = Record(id="a", kind=KIND_DOCUMENT, text=FACTS[0], subjects=["Ada@acme.example"])
    records = [
        first,
        Record(id="b", kind=KIND_DOCUMENT, text=FACTS[0].upper(), subjects=["ada@ACME.example"]),
        Record(id="c", kind=KIND_DOCUMENT, text="--"),
        Record(kind=KIND_DOCUMENT, text="ha ha ha"),
    ]
    assert await fates(memory, "fates", *records) == ["RESULT_KEPT", "known", "too_short", "noise"]
    assert await fates(memory, "fates", first, records[1]) == ["RESULT_UNCHANGED", "known"]
    (found,) = (await memory.Recall(RecallRequest(tenant="fates", query="vacation"))).recollections
    assert list(found.record.subjects) == ["ada@acme.example"]
    status = await memory.Status(memory_pb2.StatusRequest(tenant="fates"))
    assert dict(status.refused) == {"known": 2, "too_short": 1, "noise": 1}


async def test_what_was_recalled_does_not_come_back(memory: MemoryServiceStub) -> None:
    await remember(memory, "loop", *FACTS)
    thoughts = [Record(kind=KIND_THOUGHT, trust=TRUST_MODEL, text=text) for text in FACTS]
    answers = await recall(memory, "loop", "How long may I be on holidays?", limit=1)
    assert answers == FACTS[:1]
    assert await fates(memory, "loop", *thoughts[:2]) == ["recalled", "RESULT_KEPT"]


async def test_the_newest_preference_stands(memory: MemoryServiceStub) -> None:
    def preference(text: str, seconds: int) -> Record:
        about = {"subjects": ["ada"], "topic": "drink", "created_at": {"seconds": seconds}}
        return Record(kind=KIND_PREFERENCE, text=f"Ada likes {text}.", **about)

    late, early = preference("coffee", 2_000), preference("tea", 1_000)
    assert await fates(memory, "tastes", late, early) == ["RESULT_KEPT", "older"]
    assert await fates(memory, "tastes", early, late) == ["RESULT_UNCHANGED", "RESULT_UNCHANGED"]
    assert await recall(memory, "tastes", "what does Ada like") == ["Ada likes coffee."]
    both = await recall(memory, "tastes", "what does Ada like", history=True)
    assert sorted(both) == ["Ada likes coffee.", "Ada likes tea."]
    assert await fates(memory, "tastes", preference("water", 3_000)) == ["RESULT_KEPT"]
    assert await recall(memory, "tastes", "what does Ada like") == ["Ada likes water."]
