"""The records in Milvus: one collection for all tenants, each query confined to one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, Function, FunctionType, MilvusClient
from pymilvus.exceptions import MilvusException

from factotum.api.memory.v1.memory_pb2 import Kind, Record
from factotum.memory import records
from factotum.memory.embedders.minilm import DIMENSION
from factotum.memory.errors import StoreUnavailable
from factotum.memory.recall import Scope
from factotum.memory.store.lite import LiteServer

COLLECTION = "memories"
THREADS = 4
_FIELDS = ["id", "kind", "text", "run_id", "origin", "created_at", "attributes"]
# Milvus counts a VARCHAR's length in bytes, and a character may take four.
_BYTES = 4

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """A completed record, its tenant and its vector (float32 [384], of length one)."""

    tenant: str
    record: Record
    vector: NDArray[np.float32]


class MemoryStore:
    """Keeps entries and finds them. Every call runs in a thread and raises `StoreUnavailable` when Milvus
    fails; the next call connects anew, and starts Milvus Lite anew if it died. An async context manager.

    Args:
        uri: `http(s)://…` of a Milvus server, or the path of a file for Milvus Lite.
        token: of the server; empty if it wants none.
        timeout_seconds: of one request.
    """

    def __init__(self, uri: str, token: str = "", *, timeout_seconds: float = 10.0) -> None:
        self._uri = uri
        self._token = token
        self._timeout = timeout_seconds
        self._lite = None if uri.startswith(("http://", "https://")) else LiteServer(Path(uri))
        self._executor = ThreadPoolExecutor(THREADS, "milvus")
        self._connecting = threading.Lock()
        self._client: Any = None
        self._filled = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        self._executor.shutdown(wait=False)

    async def connect(self) -> None:
        """Makes the collection if there is none. Needed only to learn early that Milvus is away."""
        await self._call(lambda client: None)

    async def upsert(self, entries: Sequence[Entry]) -> None:
        """Keeps the entries; of those with the tenant and id of another, the last. Returns once they can be found."""
        rows = {row["key"]: row for row in map(_row, entries)}
        # Two rows with one key in a single request would both be found by their words afterwards.
        if rows:
            await self._call(lambda client: client.upsert(COLLECTION, data=list(rows.values()), timeout=self._timeout))

    async def search(
        self, scope: Scope, vector: NDArray[np.float32], text: str, count: int
    ) -> tuple[list[Record], list[Record]]:
        """The `count` records of the scope nearest in meaning, and those nearest in words (BM25), best first."""
        condition = _condition(scope)

        def look(field: str, data: Any, metric: str) -> Callable[[MilvusClient], list[Record]]:
            def search(client: MilvusClient) -> list[Record]:
                if self._empty(client):
                    return []
                (hits,) = client.search(
                    COLLECTION,
                    data=[data],
                    anns_field=field,
                    filter=condition,
                    limit=count,
                    output_fields=_FIELDS,
                    search_params={"metric_type": metric},
                    timeout=self._timeout,
                )
                return [_record(hit["entity"]) for hit in hits]

            return search

        by_meaning, by_words = await asyncio.gather(
            self._call(look("dense", vector.tolist(), "IP")), self._call(look("sparse", text, "BM25"))
        )
        return by_meaning, by_words

    async def _call(self, work: Callable[[MilvusClient], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._do, work)

    def _do(self, work: Callable[[MilvusClient], T]) -> T:
        client: MilvusClient | None = None
        try:
            client = self._connected()
            return work(client)
        except MilvusException as error:
            if client is not None:
                self._drop(client)
            raise StoreUnavailable(f"Milvus at {self._uri}: {error.message or error}") from error
        except ValueError as error:
            if client is self._client:
                raise
            # gRPC's way to say that another call, which failed before, has closed the connection.
            raise StoreUnavailable(f"Milvus at {self._uri}: {error}") from error

    def _empty(self, client: MilvusClient) -> bool:
        """Whether nothing was ever kept: Milvus Lite fails there (a mean length of 0/0) instead of finding nothing."""
        if not self._filled:
            (row,) = client.query(COLLECTION, filter="", output_fields=["count(*)"], timeout=self._timeout)
            self._filled = row["count(*)"] > 0
        return not self._filled

    def _connected(self) -> MilvusClient:
        with self._connecting:
            if self._client is None:
                address = self._lite.start() if self._lite else self._uri
                # A connection of its own: a shared one would be closed under another store.
                client = MilvusClient(uri=address, token=self._token, timeout=self._timeout, dedicated=True)
                _ensure_collection(client, partitioned=self._lite is None, timeout=self._timeout)
                self._client = client
            return self._client

    def _drop(self, client: MilvusClient) -> None:
        """Closes the connection, unless it is no longer the one in use."""
        with self._connecting:
            if client is not self._client:
                return
            self._client = None
        client.close()

    def _close(self) -> None:
        if self._client is not None:
            self._drop(self._client)
        if self._lite is not None:
            self._lite.stop()


def _ensure_collection(client: MilvusClient, *, partitioned: bool, timeout: float) -> None:
    """Completes what is not there yet: a process may have been killed between the steps.

    Milvus Lite refuses a filter on a partition key, so there the tenant is a plain field.
    """
    if not client.has_collection(COLLECTION, timeout=timeout):
        client.create_collection(
            COLLECTION, schema=_schema(client, partitioned), consistency_level="Strong", timeout=timeout
        )
    present = set(client.list_indexes(COLLECTION, timeout=timeout))
    for field, index, metric in (("dense", "AUTOINDEX", "IP"), ("sparse", "SPARSE_INVERTED_INDEX", "BM25")):
        if field not in present:
            wanted = client.prepare_index_params()
            wanted.add_index(field, index_type=index, index_name=field, metric_type=metric)
            client.create_index(COLLECTION, wanted, timeout=timeout)
    client.load_collection(COLLECTION, timeout=timeout)


def _schema(client: MilvusClient, partitioned: bool) -> Any:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("tenant", DataType.VARCHAR, max_length=63, is_partition_key=partitioned)
    schema.add_field("id", DataType.VARCHAR, max_length=_BYTES * records.MAX_ID_CHARACTERS)
    schema.add_field("kind", DataType.VARCHAR, max_length=16)
    schema.add_field(
        "text",
        DataType.VARCHAR,
        max_length=records.MAX_TEXT_BYTES,
        enable_analyzer=True,
        # Stems words and leaves out those like "on" and "the", which would outvote the meaning.
        analyzer_params={"type": "english"},
    )
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=DIMENSION)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("run_id", DataType.VARCHAR, max_length=256)
    schema.add_field("origin", DataType.VARCHAR, max_length=_BYTES * records.MAX_ORIGIN_CHARACTERS)
    schema.add_field("created_at", DataType.INT64)
    schema.add_field("attributes", DataType.JSON)
    schema.add_function(Function("words", FunctionType.BM25, input_field_names=["text"], output_field_names=["sparse"]))
    return schema


def _condition(scope: Scope) -> str:
    """The one place where a filter is written. Each value is checked again: none can hold a quote."""
    parts = [f'tenant == "{records.checked_tenant(scope.tenant)}"']
    if scope.kinds:
        known = [kind for kind in records.KINDS.values() if kind in scope.kinds]
        assert len(known) == len(scope.kinds), "kinds are taken from records.KINDS"
        parts.append(f"kind in {json.dumps(known)}")
    if scope.run_id:
        parts.append(f'run_id == "{records.checked_run_id(scope.run_id)}"')
    return " and ".join(parts)


def _row(entry: Entry) -> dict[str, Any]:
    record = entry.record
    return {
        # An id is the tenant's own: that of another tenant's record must not replace it.
        "key": hashlib.sha256(f"{records.checked_tenant(entry.tenant)}\n{record.id}".encode()).hexdigest(),
        "tenant": entry.tenant,
        "id": record.id,
        "kind": records.kind_name(record.kind),
        "text": record.text,
        "dense": entry.vector.tolist(),
        "run_id": record.run_id,
        "origin": record.origin,
        "created_at": record.created_at.ToMicroseconds(),
        "attributes": json.loads(record.attributes_json),
    }


def _record(row: dict[str, Any]) -> Record:
    record = Record(
        id=row["id"],
        kind=Kind.Value(f"KIND_{row['kind'].upper()}"),
        text=row["text"],
        run_id=row["run_id"],
        origin=row["origin"],
        attributes_json=json.dumps(row["attributes"], ensure_ascii=False, separators=(",", ":")),
    )
    record.created_at.FromMicroseconds(row["created_at"])
    return record
