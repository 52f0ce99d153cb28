"""A file of Milvus Lite as the first releases left it: what those did, kept for the tests of what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymilvus import DataType, Function, FunctionType, MilvusClient

from factotum.api.memory.v1.memory_pb2 import Kind, Record
from factotum.memory.store.lite import LiteServer
from factotum.memory.store.port import Vector

DIMENSION = 384


def keep(path: Path, kept: Sequence[tuple[str, Record, Vector]]) -> None:
    """Blocks."""
    server = LiteServer(path)
    client = MilvusClient(uri=server.start(), dedicated=True)
    try:
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("tenant", DataType.VARCHAR, max_length=63)
        schema.add_field("id", DataType.VARCHAR, max_length=512)
        schema.add_field("kind", DataType.VARCHAR, max_length=16)
        schema.add_field(
            "text", DataType.VARCHAR, max_length=8192, enable_analyzer=True, analyzer_params={"type": "english"}
        )
        schema.add_field("dense", DataType.FLOAT_VECTOR, dim=DIMENSION)
        schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
        schema.add_field("run_id", DataType.VARCHAR, max_length=256)
        schema.add_field("origin", DataType.VARCHAR, max_length=4096)
        schema.add_field("created_at", DataType.INT64)
        schema.add_field("attributes", DataType.JSON)
        schema.add_function(
            Function("words", FunctionType.BM25, input_field_names=["text"], output_field_names=["sparse"])
        )
        client.create_collection("memories", schema=schema, consistency_level="Strong")
        for field, index, metric in (("dense", "AUTOINDEX", "IP"), ("sparse", "SPARSE_INVERTED_INDEX", "BM25")):
            wanted = client.prepare_index_params()
            wanted.add_index(field, index_type=index, index_name=field, metric_type=metric)
            client.create_index("memories", wanted)
        client.load_collection("memories")
        if kept:
            client.upsert("memories", data=[_row(*each) for each in kept])
    finally:
        client.close()
        server.stop()


def _row(tenant: str, record: Record, vector: Vector) -> dict[str, Any]:
    return {
        "key": hashlib.sha256(f"{tenant}\n{record.id}".encode()).hexdigest(),
        "tenant": tenant,
        "id": record.id,
        "kind": Kind.Name(record.kind).removeprefix("KIND_").lower(),
        "text": record.text,
        "dense": vector.tolist(),
        "run_id": record.run_id,
        "origin": record.origin,
        "created_at": record.created_at.ToMicroseconds(),
        "attributes": json.loads(record.attributes_json or "{}"),
    }
