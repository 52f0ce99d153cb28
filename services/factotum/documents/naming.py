"""What a document's chunks are called. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

from factotum.documents.chunks import Chunk


def version_of(content: bytes) -> str:
    """sha256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def chunk_ids(tenant: str, uri: str, chunks: Sequence[Chunk]) -> list[str]:
    """An id for each, which follows from tenant, document, section and text: a chunk that a new version of its document
    leaves as it is keeps its id. Of chunks that are the same the second, third and so on have ids of their own."""
    seen: Counter[Chunk] = Counter()
    ids = []
    for chunk in chunks:
        parts = [tenant, uri, chunk.section, chunk.text, seen[chunk]]
        ids.append(hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32])
        seen[chunk] += 1
    return ids
