"""The governing half of the gRPC face, over a real server and Milvus Lite."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.api.memory.v1.memory_pb2_grpc import MemoryServiceStub

NOW = datetime.now(UTC)
ADA = "ada@acme.example"
numbers = itertools.count()


@pytest.fixture
def tenant() -> str:
    return f"governed-{next(numbers)}"


def observation(number: int, *, ago: timedelta = timedelta(days=3), subject: str = ADA) -> pb.Record:
    record = pb.Record(
        id=f"o{number}",
        kind=pb.KIND_OBSERVATION,
        text=f"mail.send. Failed (unavailable): the server did not answer in {number} ms.",
        subjects=[subject],
        run_id=f"run-{number}",
        attributes_json='{"tool": "mail.send", "error": "unavailable"}',
    )
    record.created_at.FromDatetime(NOW - ago)
    return record


async def remember(memory: MemoryServiceStub, tenant: str, *records: pb.Record) -> list[pb.Kept]:
    answer = await memory.Remember(pb.RememberRequest(tenant=tenant, records=records))
    return list(answer.kept)


async def listed(memory: MemoryServiceStub, tenant: str, **narrowed: object) -> list[pb.Record]:
    records, token = [], ""
    while True:
        request = pb.ListRecordsRequest(tenant=tenant, page_token=token, limit=2, **narrowed)  # type: ignore[arg-type]
        answer = await memory.ListRecords(request)
        records += answer.records
        token = answer.next_page_token
        if not token:
            return records


async def found(memory: MemoryServiceStub, tenant: str, query: str) -> set[str]:
    answer = await memory.Recall(pb.RecallRequest(tenant=tenant, query=query, limit=100))
    return {each.record.id for each in answer.recollections}


async def test_records_are_listed_newest_first_a_page_at_a_time(memory: MemoryServiceStub, tenant: str) -> None:
    await remember(memory, tenant, *(observation(n, ago=timedelta(hours=n)) for n in range(5)))
    assert [record.id for record in await listed(memory, tenant)] == ["o0", "o1", "o2", "o3", "o4"]
    assert await listed(memory, tenant, subjects=["bob@acme.example"]) == []
    assert await listed(memory, tenant, kinds=[pb.KIND_EPISODE]) == []


async def test_what_is_forgotten_is_found_by_nothing_and_does_not_come_back(
    memory: MemoryServiceStub, tenant: str
) -> None:
    of_ada, of_bob = observation(1), observation(2, subject="bob@acme.example")
    await remember(memory, tenant, of_ada, of_bob)
    exported = [each.record.id async for each in memory.Export(pb.ExportRequest(tenant=tenant, subjects=[ADA]))]
    assert exported == ["o1"]
    receipt = (await memory.Forget(pb.ForgetRequest(tenant=tenant, subjects=[ADA.upper()]))).receipt
    assert dict(receipt.removed) == {"observation": 1}
    assert await found(memory, tenant, "mail server did not answer") == {"o2"}
    (again,) = await remember(memory, tenant, of_ada)
    assert (again.result, again.reason) == (pb.Kept.RESULT_REFUSED, "forgotten")
    (late,) = await remember(memory, tenant, observation(3))
    assert (late.result, late.reason) == (pb.Kept.RESULT_REFUSED, "forgotten")
    assert list((await memory.ListReceipts(pb.ListReceiptsRequest(tenant=tenant))).receipts) == [receipt]
    status = await memory.Status(pb.StatusRequest(tenant=tenant))
    assert (dict(status.records), dict(status.refused)) == ({"observation": 1}, {"forgotten": 2})
    assert status.settled and status.schema_version > 1


async def test_a_consolidation_folds_and_its_sources_do_not_come_back(memory: MemoryServiceStub, tenant: str) -> None:
    sources = [observation(n) for n in range(4)]
    await remember(memory, tenant, *sources)
    request = pb.ConsolidateRequest(tenant=tenant, dry_run=True)
    dry = await memory.Consolidate(request)
    assert (dry.folded, len(await listed(memory, tenant))) == (4, 4)
    done = await memory.Consolidate(pb.ConsolidateRequest(tenant=tenant))
    assert done.foldings == dry.foldings and (done.folded, done.expired) == (4, 0)
    (episode,) = await listed(memory, tenant)
    assert episode.kind == pb.KIND_EPISODE and sorted(episode.provenance.folded_from) == ["o0", "o1", "o2", "o3"]
    assert await found(memory, tenant, "how often did mail fail") == {episode.id}
    assert {kept.reason for kept in await remember(memory, tenant, *sources)} == {"known"}
    again = await memory.Consolidate(pb.ConsolidateRequest(tenant=tenant))
    assert (again.folded, again.expired) == (0, 0)
    # Who was in what was folded is forgotten in what it was folded into.
    await memory.Forget(pb.ForgetRequest(tenant=tenant, subjects=[ADA]))
    assert await listed(memory, tenant, history=True) == []


async def test_what_has_expired_is_let_go_and_was_not_recalled_before(memory: MemoryServiceStub, tenant: str) -> None:
    record = observation(1)
    record.expires_at.FromDatetime(datetime.now(UTC) + timedelta(seconds=1))
    await remember(memory, tenant, record)
    assert await found(memory, tenant, "mail server") == {"o1"}
    async with asyncio.timeout(10):
        while await found(memory, tenant, "mail server"):
            await asyncio.sleep(0.05)
    assert await listed(memory, tenant) == []
    assert [kept.id for kept in await listed(memory, tenant, history=True)] == ["o1"]
    done = await memory.Consolidate(pb.ConsolidateRequest(tenant=tenant))
    assert (done.folded, done.expired) == (0, 1)
    assert await listed(memory, tenant, history=True) == []


async def test_a_reindex_tells_how_far_it_is_and_loses_nothing(memory: MemoryServiceStub, tenant: str) -> None:
    await remember(memory, tenant, *(observation(n) for n in range(5)))
    told = [each async for each in memory.Reindex(pb.ReindexRequest())]
    assert told[-1].done == told[-1].total >= 5
    assert await found(memory, tenant, "mail server") == {f"o{n}" for n in range(5)}
    assert (await memory.Status(pb.StatusRequest(tenant=tenant))).settled


def claim(**fields: Any) -> pb.RememberRequest:
    return pb.RememberRequest(tenant="acme", records=[pb.Record(kind=pb.KIND_EPISODE, text="It was so.", **fields)])


Call = Callable[[MemoryServiceStub], object]


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda m: m.Forget(pb.ForgetRequest(tenant="acme")), "subjects or ids"),
        (lambda m: m.Forget(pb.ForgetRequest(tenant="ACME!", subjects=[ADA])), "tenant"),
        (lambda m: m.ListRecords(pb.ListRecordsRequest(tenant="acme", page_token="x")), "page_token"),
        (lambda m: m.ListRecords(pb.ListRecordsRequest(tenant="acme", limit=501)), "limit"),
        (lambda m: m.ListReceipts(pb.ListReceiptsRequest()), "tenant"),
        (lambda m: m.Consolidate(pb.ConsolidateRequest(tenant="-")), "tenant"),
        (lambda m: m.Status(pb.StatusRequest()), "tenant"),
        (
            lambda m: m.Remember(claim(provenance=pb.Provenance(folded_from=["o1"]))),
            "records[0].provenance.folded_from",
        ),
        (lambda m: m.Remember(claim(attributes_json='{"folded": "repeated"}')), "records[0].attributes_json"),
        (lambda m: first(m.Export(pb.ExportRequest(tenant="acme"))), "subjects"),
    ],
)
async def test_bad_input_is_refused_by_name(memory: MemoryServiceStub, ask: Call, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(memory)  # type: ignore[misc]
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field in (caught.value.details() or "")


async def first(stream: AsyncIterable[pb.ExportResponse]) -> pb.ExportResponse:
    return await anext(aiter(stream))
