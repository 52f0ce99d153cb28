"""What a Milvus server or Zilliz Cloud is sent. There is none here: what it makes of that is not tried."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymilvus import DataType
from pymilvus.grpc_gen import common_pb2, schema_pb2

from factotum.memory.errors import StoreFaulty, StoreRefused, StoreUnavailable
from factotum.memory.marks import mark_of
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.port import Burial, Scope, Stretch
from factotum.memory.store.spaces import Space
from tests.support.milvus_server import MilvusServer, milvus_server
from tests.support.stores import NOW, SPACE, entry, vector

Connected = tuple[MemoryStore, MilvusServer]


@pytest.fixture(scope="module")
async def connected() -> AsyncIterator[Connected]:
    with milvus_server() as (address, server):
        async with MemoryStore(address, "a token", space=SPACE) as store:
            await store.upsert([entry("acme", "hello", id="x", subjects=['ada"'])])
            await store.delete("acme", ["x"])
            yield store, server


async def test_the_token_is_shown(connected: Connected) -> None:
    assert base64.b64decode(connected[1].authorization) == b"a token"


async def test_the_collection_is_partitioned_by_tenant_and_strongly_consistent(connected: Connected) -> None:
    (made,) = connected[1].of("CreateCollection", "memories_s2_g1_")
    assert made.consistency_level == common_pb2.Strong
    schema = schema_pb2.CollectionSchema.FromString(made.schema)
    fields = {field.name: field for field in schema.fields}
    assert [name for name, field in fields.items() if field.is_partition_key] == ["tenant"]
    assert [name for name, field in fields.items() if field.is_primary_key] == ["key"]
    assert not any(field.autoID for field in schema.fields)
    assert fields["dense"].data_type == DataType.FLOAT_VECTOR
    assert fields["subject_keys"].element_type == DataType.VARCHAR
    parameters = {each.key: each.value for each in fields["searched"].type_params}
    assert (parameters["enable_analyzer"], parameters["analyzer_params"]) == ("true", '{"type":"english"}')
    (function,) = schema.functions
    assert function.type == schema_pb2.BM25
    assert (list(function.input_field_names), list(function.output_field_names)) == (["searched"], ["sparse"])


async def test_the_indexes_are_the_servers_choice_and_bm25(connected: Connected) -> None:
    indexes = {
        each.field_name: {pair.key: pair.value for pair in each.extra_params}
        for each in connected[1].of("CreateIndex", "memories_")
    }
    assert indexes["dense"]["index_type"] == "AUTOINDEX"
    assert indexes["dense"]["metric_type"] == "IP"
    assert indexes["sparse"]["index_type"] == "SPARSE_INVERTED_INDEX"
    assert indexes["sparse"]["metric_type"] == "BM25"


async def test_a_row_has_every_column_but_what_the_server_makes(connected: Connected) -> None:
    (made,) = connected[1].of("CreateCollection", "memories_s2_g1_")
    columns = {field.name for field in schema_pb2.CollectionSchema.FromString(made.schema).fields}
    (written, *_) = connected[1].of("Upsert", "memories_s2_g1_")
    assert {field.field_name for field in written.fields_data} == columns - {"sparse"}
    assert connected[1].of("Insert") == [], "another process may have written the key meanwhile"


async def test_nothing_is_asked_but_within_one_tenant(connected: Connected) -> None:
    store, server = connected
    seen = {method: len(server.of(method, "memories_")) for method in ("Search", "Query", "Delete")}
    scope = Scope(tenant="acme", subjects=('" or tenant != "',), run_id="r1", document='"', alive_at=NOW)
    await store.search(scope, vector(), "hello", 200)
    await store.get("acme", ['" or key != "'])
    await store.count(scope)
    await store.stretches(scope, [Stretch('") or tenant != "', 0, 3)])
    assert [record async for record in store.records(scope)] == []
    asked = [
        request
        for method in ("Search", "Query", "Delete")
        for request in server.of(method, "memories_")[seen[method] :]
    ]
    searched = [each for each in asked if hasattr(each, "dsl")]
    assert len(searched) == 2
    for request in asked:
        expression = request.dsl if hasattr(request, "dsl") else request.expr
        assert expression.startswith('tenant == "acme" and ')
        assert expression.count("tenant") == 1
    for request in searched:
        assert request.consistency_level == common_pb2.Strong or request.use_default_consistency
        assert "text" not in request.output_fields


async def test_a_listing_is_asked_for_as_the_clients_own_iterator_does(connected: Connected) -> None:
    store, server = connected
    before = len(server.of("Query"))
    assert [record async for record in store.records(Scope(tenant="acme"))] == []
    assert await store.tenants() == []
    asked = [{pair.key: pair.value for pair in each.query_params} for each in server.of("Query")[before:]]
    listings = [each for each in asked if "limit" in each]
    assert len(listings) == 2
    assert all((each["iterator"], each["reduce_stop_for_best"]) == ("True", "True") for each in listings)


async def test_what_is_deleted_is_deleted_within_the_tenant(connected: Connected) -> None:
    (deleted, *_) = connected[1].of("Delete", "memories_")
    assert deleted.expr.startswith('tenant == "acme" and key in ["')


async def test_each_write_looks_whether_another_process_has_begun_something(connected: Connected) -> None:
    store, server = connected
    before = len(server.of("Query", "memory_state"))
    await store.upsert([entry("acme", "hello")])
    asked = [each.expr for each in server.of("Query", "memory_state")[before:]]
    assert any(each.startswith("sort in ") for each in asked)
    assert len(server.of("CreateCollection", "memories_")) == 1, "what is noted is believed"
    await store.bury("acme", ["x"], Burial.FORGOTTEN, NOW)
    written = server.of("Upsert", "memory_state")[-1]
    told = b"".join(field.SerializeToString() for field in written.fields_data)
    assert b"acme" not in told, "a grave names nobody"


def refusing(text: str, code: int) -> Any:
    """An answer to each write that holds this text."""

    def refuse(method: str, request: Any) -> Any:
        if method == "Upsert" and any(text.encode() in field.SerializeToString() for field in request.fields_data):
            return common_pb2.Status(error_code=common_pb2.UnexpectedError, code=code, reason="as the test says")
        return None

    return refuse


async def test_a_record_that_is_refused_is_told_from_a_collection_that_takes_none() -> None:
    with milvus_server() as (address, server):
        async with MemoryStore(address, space=SPACE) as store:
            await store.upsert([entry("acme", "hello", id="x")])
            server.refuse = refusing("unspeakable", 1100)
            with pytest.raises(StoreRefused, match="as the test says"):
                await store.upsert([entry("acme", "unspeakable", id="y")])
            probe, gone = server.of("Upsert", "memories_")[-1], server.of("Delete", "memories_")[-1]
            assert b"factotum-probe" in probe.SerializeToString()
            assert gone.expr.startswith('tenant == "factotum-probe" and key in')
            assert await store.trouble() == ""
            server.refuse = refusing("", 1100)
            with pytest.raises(StoreFaulty, match="refuses every record"):
                await store.upsert([entry("acme", "hello", id="y")])
            assert "refuses every record" in await store.trouble()
            server.refuse = refusing("", 9)
            with pytest.raises(StoreFaulty, match="more room"):
                await store.upsert([entry("acme", "hello", id="y")])
            server.refuse = refusing("", 65535)
            with pytest.raises(StoreUnavailable) as away:
                await store.upsert([entry("acme", "hello", id="y")])
            assert type(away.value) is StoreUnavailable
            server.refuse = lambda method, request: None
            await store.upsert([entry("acme", "hello", id="y")])
            assert await store.trouble() == ""


async def test_a_reader_follows_a_reindex_that_another_process_has_ended() -> None:
    with milvus_server() as (address, server):
        async with MemoryStore(address, space=SPACE) as reader, MemoryStore(address, space=SPACE) as other:
            assert await reader.count(Scope(tenant="acme")) == {}
            other._timeout = 0.0  # nobody waits for the others in a test

            async def prepare(records: Any) -> Any:
                return []

            await other.reindex(prepare, lambda done, total: None)
            dropped = server.of("DropCollection", "memories_")[-1].collection_name
            server.refuse = lambda method, request: (
                common_pb2.Status(error_code=common_pb2.CollectionNotExists, code=100, reason="gone")
                if request.collection_name == dropped
                else None
            )
            assert await reader.count(Scope(tenant="acme")) == {}
            assert server.of("Query", "memories_")[-1].collection_name != dropped


async def test_who_is_not_let_in_is_told_what_to_see_to() -> None:
    with milvus_server() as (address, server):
        server.unauthorised = True
        async with MemoryStore(address, "wrong", space=SPACE, timeout_seconds=1) as store:
            with pytest.raises(StoreFaulty, match=r"auth check failure.*FACTOTUM_MILVUS__TOKEN"):
                await store.connect()


async def test_a_collection_of_somebody_elses_is_not_written_to() -> None:
    with milvus_server() as (address, server):
        async with MemoryStore(address, space=SPACE) as store:
            await store.upsert([entry("acme", "hello", id="x")])
        made = server.of("CreateCollection", "memories_")[0]
        schema = schema_pb2.CollectionSchema.FromString(made.schema)
        kept = [field for field in schema.fields if field.name != "importance"]
        del schema.fields[:]
        schema.fields.extend(kept)
        made.schema = schema.SerializeToString()
        async with MemoryStore(address, space=SPACE) as store:
            with pytest.raises(StoreFaulty, match=r"it lacks the column `importance`.*restore the store"):
                await store.connect()
            assert "importance" in await store.trouble()
            with pytest.raises(StoreFaulty):
                await store.upsert([entry("acme", "hello", id="x")])


async def test_after_a_forget_the_files_of_every_collection_are_to_be_cleared() -> None:
    with milvus_server() as (address, server):
        async with MemoryStore(address, space=SPACE) as store:
            await store.upsert([entry("acme", "hello", id="x")])
            await store.scrub()
            collections = {each.collection_name for each in server.of("CreateCollection")}
            flushed = {name for each in server.requests["Flush"] for name in each.collection_names}
            assert {each.collection_name for each in server.of("ManualCompaction")} == flushed == collections
            server.refuse = lambda method, request: (
                common_pb2.Status(error_code=common_pb2.UnexpectedError, code=3000, reason="not here")
                if method == "ManualCompaction"
                else None
            )
            await store.scrub()


async def test_a_mark_is_written_without_a_name_and_waited_for() -> None:
    with milvus_server() as (address, server):
        async with MemoryStore(address, space=SPACE) as store:
            assert store.is_shared
            await store.connect()
            store._timeout = 0.5
            begun = time.monotonic()
            await store.mark(mark_of("acme", ("ada@acme.example", "grace hopper"), NOW, "salt"))
            assert time.monotonic() - begun >= 0.5, "what others decided on without knowing it is written by then"
            written = server.of("Upsert", "memory_state")[-1].SerializeToString()
            assert b"salt" in written
            assert not [word for word in (b"ada", b"example", b"grace", b"hopper") if word in written]
            await store.marks(NOW)
            assert server.of("Query", "memory_state")[-1].expr == 'sort == "mark"'


async def test_a_reindex_that_another_process_has_under_way_is_left_to_it() -> None:
    """It has another embedder; what is written here is missing there, until that process finds it so."""
    with milvus_server() as (address, server):
        async with MemoryStore(address, space=SPACE) as store:
            await store.connect()
        async with MemoryStore(address, space=Space("openai:example/model/16", 16)) as other:
            await other._writing(lambda opened: opened.begin(anew=True))
        filled = server.of("CreateCollection", "memories_")[-1].collection_name
        async with MemoryStore(address, space=SPACE) as store:
            await store.upsert([entry("acme", "hello", id="x")])
            assert (await store.shape()).settled
            assert {each.collection_name for each in server.of("Upsert", "memories_")} == {
                server.of("CreateCollection", "memories_")[0].collection_name
            }
            assert [each.collection_name for each in server.of("Delete", "memories_")] == [filled]
            assert server.of("DropCollection") == []
