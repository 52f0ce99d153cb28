"""Which documents stand whole, and what goes when a version of one has come, on the store in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import numpy as np
import pytest

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.memory.grpc_documents import DocumentCalls
from factotum.memory.records import completed
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Burial, Entry, Scope, Vector

NOW = datetime(2026, 11, 24, tzinfo=UTC)
URI = "file:///guide.md"
ONE, TWO = "1" * 64, "2" * 64


class Refused(Exception):
    pass


class Context:
    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Refused(code.name, details)


class Bench:
    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.prepared: list[pb.Record] = []
        self._calls = DocumentCalls(self.store, self._prepare, lambda: NOW)
        self._context: Any = Context()

    async def _prepare(self, records: Sequence[pb.Record]) -> list[tuple[str, Vector]]:
        self.prepared += records
        return [(record.text, np.ones(4, np.float32) / 2) for record in records]

    async def keep(self, *records: pb.Record, tenant: str = "acme") -> None:
        whole = [completed(tenant, record, NOW) for record in records]
        prepared = await self._prepare(whole)
        self.prepared.clear()
        await self.store.upsert(
            [Entry(tenant, record, text, vector) for record, (text, vector) in zip(whole, prepared, strict=True)]
        )

    async def listed(self, tenant: str = "acme") -> list[tuple[str, str, int]]:
        answer = await self._calls.ListDocuments(pb.ListDocumentsRequest(tenant=tenant), self._context)
        return [(each.uri, each.version, each.chunks) for each in answer.documents]

    async def kept_at(self) -> datetime:
        answer = await self._calls.ListDocuments(pb.ListDocumentsRequest(tenant="acme"), self._context)
        return answer.documents[0].kept_at.ToDatetime(tzinfo=UTC)

    async def settle(self, version: str, document: str = URI, tenant: str = "acme", skipped: str = "") -> int:
        request = pb.SettleDocumentRequest(tenant=tenant, document=document, version=version, skipped=skipped)
        return (await self._calls.SettleDocument(request, self._context)).removed

    async def skipped(self) -> dict[str, str]:
        answer = await self._calls.ListDocuments(pb.ListDocumentsRequest(tenant="acme"), self._context)
        return {each.uri: each.skipped for each in answer.documents if each.skipped}

    async def ids(self, tenant: str = "acme") -> set[str]:
        return {record.id async for record in self.store.records(Scope(tenant=tenant, history=True))}


def chunk(identity: str, version: str = ONE, *, of: int = 2, uri: str = URI, **fields: Any) -> pb.Record:
    return pb.Record(
        id=identity,
        kind=fields.pop("kind", pb.KIND_DOCUMENT),
        text=f"text of {identity}",
        attributes_json=json.dumps({"chunks": of} if of else {}),
        provenance=pb.Provenance(document=uri, document_version=version),
        **fields,
    )


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_document_is_whole_when_all_its_chunks_stand(bench: Bench) -> None:
    await bench.keep(chunk("a"))
    assert await bench.listed() == [(URI, "", 1)]
    await bench.keep(chunk("b"))
    assert await bench.listed() == [(URI, ONE, 2)]


async def test_documents_of_both_kinds_are_listed_and_nothing_else(bench: Bench) -> None:
    await bench.keep(
        chunk("a", of=1),
        chunk("b", of=1, uri="file:///a.md", kind=pb.KIND_PROCEDURE),
        pb.Record(id="c", kind=pb.KIND_DOCUMENT, text="of no document"),
        chunk("d", of=1, uri="file:///b.md", kind=pb.KIND_OBSERVATION),
    )
    await bench.keep(chunk("e", of=1), tenant="other")
    assert await bench.listed() == [("file:///a.md", ONE, 1), (URI, ONE, 1)]


async def test_it_was_kept_when_its_newest_chunk_was(bench: Bench) -> None:
    late = chunk("b")
    late.created_at.FromDatetime(NOW + timedelta(hours=1))
    await bench.keep(chunk("a"), late)
    assert await bench.kept_at() == NOW + timedelta(hours=1)


async def test_other_versions_go_and_other_documents_and_tenants_stay(bench: Bench) -> None:
    await bench.keep(chunk("a"), chunk("b"), chunk("x", uri="file:///x.md"))
    await bench.keep(chunk("a"), tenant="other")
    await bench.keep(chunk("b", TWO), chunk("c", TWO))
    assert await bench.listed() == [(URI, "", 3), ("file:///x.md", "", 1)]
    assert await bench.settle(TWO) == 1
    assert await bench.listed() == [(URI, TWO, 2), ("file:///x.md", "", 1)]
    assert await bench.ids("other") == {"a"}
    assert bench.prepared == []


async def test_a_document_that_is_gone_may_come_again(bench: Bench) -> None:
    await bench.keep(chunk("a"), chunk("b"))
    assert (await bench.settle(""), await bench.settle(""), await bench.listed()) == (2, 0, [])
    await bench.keep(chunk("a"), chunk("b"))
    assert await bench.listed() == [(URI, ONE, 2)]


async def test_chunks_of_no_version_go_with_their_document(bench: Bench) -> None:
    await bench.keep(chunk("a", ""), chunk("b"))
    assert await bench.settle("") == 2


async def test_what_was_refused_of_it_is_waited_for_no_longer(bench: Bench) -> None:
    await bench.keep(chunk("a", of=3), chunk("b", of=3))
    assert await bench.settle(ONE) == 0
    assert await bench.listed() == [(URI, ONE, 2)]
    assert len(bench.prepared) == 1
    # A caller that says no number says by settling alone that it is whole.
    await bench.keep(chunk("y", of=0, uri="file:///y.md"))
    await bench.settle(ONE, "file:///y.md")
    assert ("file:///y.md", ONE, 1) in await bench.listed()


async def test_a_document_of_which_nothing_is_kept_is_known_and_not_recalled(bench: Bench) -> None:
    await bench.keep(chunk("a"), chunk("b"))
    assert await bench.settle(TWO, skipped="noise, too_short") == 2
    assert (await bench.listed(), await bench.skipped()) == ([(URI, TWO, 0)], {URI: "noise, too_short"})
    assert [record async for record in bench.store.records(Scope(tenant="acme"))] == []
    assert await bench.settle(TWO, skipped="noise") == 1, "the mark of before"
    assert await bench.skipped() == {URI: "noise"}
    # As soon as something of it is kept the mark is gone.
    await bench.keep(chunk("a", TWO, of=1))
    assert await bench.skipped() == {}
    assert await bench.settle(TWO) == 1
    assert (await bench.listed(), await bench.ids()) == ([(URI, TWO, 1)], {"a"})


async def test_a_mark_goes_with_its_document_and_chunks_are_none(bench: Bench) -> None:
    await bench.settle(ONE, skipped="noise")
    assert (await bench.settle(""), await bench.listed()) == (1, [])
    await bench.keep(chunk("a", of=1))
    await bench.settle(ONE, skipped="noise")
    assert (await bench.listed(), await bench.skipped()) == ([(URI, ONE, 1)], {})
    named = chunk("b", of=1, uri="file:///b.md")
    named.attributes_json = json.dumps({"chunks": 1, "skipped": "noise"})
    await bench.keep(named)
    assert ("file:///b.md", ONE, 1) in await bench.listed()
    assert await bench.skipped() == {}


async def test_reasons_are_words(bench: Bench) -> None:
    with pytest.raises(Refused, match="skipped"):
        await bench.settle(ONE, skipped="The text of Ada")


async def test_a_chunk_forgotten_meanwhile_does_not_come_back_with_the_mark(bench: Bench) -> None:
    await bench.keep(chunk("a"))

    async def forgotten_meanwhile(records: Sequence[pb.Record]) -> list[tuple[str, Vector]]:
        await bench.store.bury("acme", ["a"], Burial.FORGOTTEN, NOW)
        await bench.store.delete("acme", ["a"])
        return [(record.text, np.ones(4, np.float32) / 2) for record in records]

    bench._calls = DocumentCalls(bench.store, forgotten_meanwhile, lambda: NOW)
    await bench.settle(ONE)
    assert await bench.ids() == set()


@pytest.mark.parametrize(
    ("document", "version", "tenant", "words"),
    [
        ("", ONE, "acme", "document"),
        ("x" * 1025, ONE, "acme", "document"),
        (URI, "new", "acme", "version"),
        (URI, ONE.replace("1", "A"), "acme", "version"),
        (URI, ONE, 'acme" or "" == "', "tenant"),
    ],
)
async def test_bad_requests(bench: Bench, document: str, version: str, tenant: str, words: str) -> None:
    with pytest.raises(Refused, match=f"INVALID_ARGUMENT.*{words}"):
        await bench.settle(version, document, tenant)


async def test_a_quotation_mark_in_a_uri_is_one(bench: Bench) -> None:
    await bench.keep(chunk("a", uri='x" or tenant != "'), chunk("b"))
    assert await bench.settle("", 'x" or tenant != "') == 1
    assert await bench.ids() == {"b"}
