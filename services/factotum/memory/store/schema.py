"""The collection of records as this release makes it: its columns, its indexes, and what a row says. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from google.protobuf.json_format import MessageToDict, ParseDict
from pymilvus import DataType, Function, FunctionType, MilvusClient

from factotum.api.memory.v1.memory_pb2 import Kind, Record
from factotum.memory import records
from factotum.memory.store.collection import Index
from factotum.memory.store.port import Candidate, Entry, Vector
from factotum.memory.store.rows import key_of, moment, number_of, sequence_number, subject_form
from factotum.memory.store.scope import Columns, digest
from factotum.memory.store.words import K1, B

# Milvus counts a VARCHAR's length in bytes, and a character may take four.
_BYTES = 4
_DIGEST = 32
# The text with who spoke, the title and the section before it.
MAX_SEARCHED_BYTES = 4 * records.MAX_TEXT_BYTES
# `expires_at` of what is kept until it is replaced or forgotten.
NEVER = 2**63 - 1

Row = dict[str, Any]


class Schema(Protocol):
    """What a version of the schema knows; `CURRENT` and the older ones from which records are moved.

    `light` are the columns a candidate is made of, `full` those of a record, `columns` where filters look.
    """

    @property
    def version(self) -> int: ...
    @property
    def light(self) -> Sequence[str]: ...
    @property
    def full(self) -> Sequence[str]: ...
    @property
    def columns(self) -> Columns: ...

    def row(self, entry: Entry, dense: Vector) -> Row:
        """What is written for an entry, with this vector."""

    def record(self, row: Mapping[str, Any]) -> Record:
        """The record of a row with the columns `full`."""

    def searched(self, row: Mapping[str, Any]) -> str:
        """What was embedded, of a row with the columns `full`."""

    def candidate(self, row: Mapping[str, Any], score: float) -> Candidate:
        """Of a row with the columns `light`."""


class Schema2:
    """With subjects, places, provenance, trust, importance, expiry and what is superseded."""

    version: Final = 2
    light: Final = (
        "id",
        "kind",
        "run_id",
        "created_at",
        "importance",
        "sequence",
        "position",
        "speaker",
        "content_sha256",
    )
    full: Final = (
        *light,
        "tenant",
        "text",
        "searched",
        "origin",
        "expires_at",
        "superseded_at",
        "trust",
        "topic",
        "subjects",
        "provenance",
        "attributes",
    )
    columns: Final = Columns()

    def row(self, entry: Entry, dense: Vector) -> Row:
        record, key = entry.record, key_of(entry.tenant, entry.record.id)
        return {
            "key": key,
            "number": number_of(key),
            "sequence_number": sequence_number(record.place.sequence),
            "tenant": entry.tenant,
            "id": record.id,
            "kind": records.kind_name(record.kind),
            "text": record.text,
            "searched": entry.searched,
            "dense": dense.tolist(),
            "run_id": record.run_id,
            "origin": record.origin,
            "created_at": record.created_at.ToMicroseconds(),
            "importance": record.importance,
            "trust": record.trust,
            "topic": record.topic,
            "sequence": record.place.sequence,
            "speaker": record.place.speaker,
            "subjects": list(record.subjects),
            "provenance": MessageToDict(record.provenance, preserving_proto_field_name=True),
            "attributes": json.loads(record.attributes_json or "{}"),
            **filtered(record),
        }

    def record(self, row: Mapping[str, Any]) -> Record:
        record = Record(
            id=row["id"],
            kind=Kind.Value(f"KIND_{row['kind'].upper()}"),
            text=row["text"],
            run_id=row["run_id"],
            origin=row["origin"],
            attributes_json=json.dumps(row["attributes"], ensure_ascii=False, separators=(",", ":")),
            subjects=row["subjects"],
            trust=row["trust"],
            importance=row["importance"],
            topic=row["topic"],
            content_sha256=row["content_sha256"],
        )
        record.created_at.FromMicroseconds(row["created_at"])
        if row["expires_at"] != NEVER:
            record.expires_at.FromMicroseconds(row["expires_at"])
        if row["superseded_at"]:
            record.superseded_at.FromMicroseconds(row["superseded_at"])
        if row["provenance"]:
            ParseDict(row["provenance"], record.provenance)
        if row["sequence"] or row["position"] or row["speaker"]:
            place = record.place
            place.sequence, place.position, place.speaker = row["sequence"], row["position"], row["speaker"]
        return record

    def searched(self, row: Mapping[str, Any]) -> str:
        return str(row["searched"])

    def candidate(self, row: Mapping[str, Any], score: float) -> Candidate:
        return Candidate(
            id=row["id"],
            kind=row["kind"],
            run_id=row["run_id"],
            created_at=moment(row["created_at"]),
            importance=row["importance"],
            sequence=row["sequence"],
            position=row["position"],
            speaker=row["speaker"],
            content_sha256=row["content_sha256"],
            score=score,
        )


CURRENT: Final = Schema2()


def filtered(record: Record) -> Row:
    """What filters look at: texts that could be anything stand as hashes, besides the texts themselves."""
    return {
        "subject_keys": [digest(subject_form(subject)) for subject in record.subjects],
        "document_key": digest(record.provenance.document) if record.provenance.document else "",
        "position": record.place.position,
        "expires_at": record.expires_at.ToMicroseconds() if record.HasField("expires_at") else NEVER,
        "superseded_at": record.superseded_at.ToMicroseconds(),
        "content_sha256": record.content_sha256,
    }


def definition(dimension: int, *, partitioned: bool) -> Any:
    """The columns of a new collection.

    Args:
        partitioned: whether the tenant is the partition key. Milvus Lite refuses a filter on one, so there the
            tenant is a plain column; it is filtered by in the same way.
    """
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("tenant", DataType.VARCHAR, max_length=63, is_partition_key=partitioned)
    schema.add_field("id", DataType.VARCHAR, max_length=_BYTES * records.MAX_ID_CHARACTERS)
    schema.add_field("kind", DataType.VARCHAR, max_length=16)
    schema.add_field("text", DataType.VARCHAR, max_length=records.MAX_TEXT_BYTES)
    schema.add_field(
        "searched",
        DataType.VARCHAR,
        max_length=MAX_SEARCHED_BYTES,
        enable_analyzer=True,
        # Stems words and leaves out those like "on" and "the", which would outvote the meaning.
        analyzer_params={"type": "english"},
    )
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("run_id", DataType.VARCHAR, max_length=256)
    schema.add_field("origin", DataType.VARCHAR, max_length=_BYTES * records.MAX_ORIGIN_CHARACTERS)
    schema.add_field("topic", DataType.VARCHAR, max_length=_BYTES * records.MAX_TOPIC_CHARACTERS)
    schema.add_field("sequence", DataType.VARCHAR, max_length=_BYTES * records.MAX_SEQUENCE_CHARACTERS)
    schema.add_field("speaker", DataType.VARCHAR, max_length=_BYTES * records.MAX_SPEAKER_CHARACTERS)
    schema.add_field("content_sha256", DataType.VARCHAR, max_length=64)
    schema.add_field("importance", DataType.DOUBLE)
    schema.add_field("trust", DataType.INT8)
    for name in ("number", "sequence_number", "created_at", "expires_at", "superseded_at", "position"):
        schema.add_field(name, DataType.INT64)
    for name in ("subjects", "provenance", "attributes"):
        schema.add_field(name, DataType.JSON)
    schema.add_field(
        "subject_keys",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=records.MAX_SUBJECTS,
        max_length=_DIGEST,
    )
    schema.add_field("document_key", DataType.VARCHAR, max_length=_DIGEST)
    schema.add_function(
        Function("words", FunctionType.BM25, input_field_names=["searched"], output_field_names=["sparse"])
    )
    return schema


# Column, index, metric, and what the index is given.
# A server chooses what AUTOINDEX is (HNSW, or Zilliz' own); Milvus Lite looks at every row.
INDEXES: Final[tuple[Index, ...]] = (
    ("dense", "AUTOINDEX", "IP", {}),
    ("sparse", "SPARSE_INVERTED_INDEX", "BM25", {"bm25_k1": K1, "bm25_b": B}),
)
