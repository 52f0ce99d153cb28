"""Which documents are kept, and whether the keeping of one has ended. Pure.

Chunks bring two attributes: `chunks`, how many the document was cut into, and, one of them, `settled`, which says that
some were refused and no more are to come. Of a document of which all were refused a mark stands, which no recall finds
and which says why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.memory.v1.memory_pb2 import KIND_DOCUMENT, Document, Provenance, Record
from factotum.memory.records import completed, derived_id

CHUNKS = "chunks"
SETTLED = "settled"
SKIPPED = "skipped"


@dataclass(slots=True)
class _Version:
    chunks: int = 0
    expected: int = -1
    settled: bool = False
    skipped: str = ""


@dataclass(slots=True)
class Tally:
    """What stands of one document, chunk by chunk."""

    versions: dict[str, _Version] = field(default_factory=dict)
    kept_at: Timestamp = field(default_factory=Timestamp)

    def add(self, chunk: Record) -> None:
        version = self.versions.setdefault(chunk.provenance.document_version, _Version())
        attributes = json.loads(chunk.attributes_json or "{}")
        if is_mark(chunk):
            version.skipped = attributes[SKIPPED]
        else:
            version.chunks += 1
        expected = attributes.get(CHUNKS)
        version.expected = expected if isinstance(expected, int) else -1
        version.settled |= attributes.get(SETTLED) is True
        if (chunk.created_at.seconds, chunk.created_at.nanos) > (self.kept_at.seconds, self.kept_at.nanos):
            self.kept_at.CopyFrom(chunk.created_at)

    def whole(self) -> str:
        """The version that stands, if it stands alone and all of it that is to be kept; else empty."""
        if len(self.versions) != 1:
            return ""
        ((name, version),) = self.versions.items()
        return name if version.settled or version.chunks == version.expected else ""

    def skipped(self) -> str:
        """Why nothing of it is kept; empty: something is."""
        return next((version.skipped for version in self.versions.values() if not version.chunks), "")


def listed(tallies: Mapping[str, Tally]) -> list[Document]:
    """The documents of these tallies, in the order of their URIs; `version` is empty for one that is not whole."""
    return [
        Document(
            uri=uri,
            version=tally.whole(),
            skipped=tally.skipped() if tally.whole() else "",
            chunks=sum(version.chunks for version in tally.versions.values()),
            kept_at=tally.kept_at,
        )
        for uri, tally in sorted(tallies.items())
    ]


def skipped(tenant: str, uri: str, version: str, why: str, now: datetime) -> Record:
    """The mark of a document of which nothing is kept: out of date as soon as it stands, so that no recall finds it.

    Raises `InvalidRequest`.
    """
    mark = Record(
        id=derived_id(tenant, SKIPPED, uri),
        kind=KIND_DOCUMENT,
        text=uri,
        attributes_json=json.dumps({SKIPPED: why, SETTLED: True}),
        provenance=Provenance(document=uri, document_version=version),
    )
    made = completed(tenant, mark, now)
    made.superseded_at.CopyFrom(made.created_at)
    return made


def is_mark(record: Record) -> bool:
    """Whether it is one that `skipped` made: nobody else can keep what is superseded and rivals nothing."""
    return record.HasField("superseded_at") and SKIPPED in json.loads(record.attributes_json or "{}")


def settled(chunk: Record) -> Record:
    """The chunk with the mark that no more of its document are to come."""
    marked = Record()
    marked.CopyFrom(chunk)
    marked.attributes_json = json.dumps(
        {**json.loads(chunk.attributes_json or "{}"), SETTLED: True}, ensure_ascii=False, separators=(",", ":")
    )
    return marked
