"""What is written to the store of records that are to be kept: what is searched of each, and the vector of that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import numpy as np

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.embedders.port import Vectors
from factotum.memory.searched import searched
from factotum.memory.store.port import Entry, Store, Vector

Embed = Callable[[Sequence[str]], Awaitable[Vectors]]


class Once:
    """Embeds a text once, however often it is asked for."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._vectors: dict[str, Vector] = {}

    async def __call__(self, texts: Sequence[str]) -> Vectors:
        """Of at least one text."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._vectors]:
            self._vectors.update(zip(new, await self._embed(new), strict=True))
        return np.stack([self._vectors[text] for text in texts])


async def entries(
    store: Store, embed: Embed, records: Sequence[tuple[str, Record]], standing: Mapping[str, Sequence[str]]
) -> list[Entry]:
    """The records, given with their tenants, in their order. What is searched of one may stand already, as of a chunk
    that a new version of its document leaves as it is: its vector is taken, and the text not embedded again.

    Args:
        standing: by tenant, ids of records that stand; others are not looked for.
    """
    known: dict[tuple[str, str], tuple[str, Vector]] = {}
    for tenant, ids in standing.items():
        found = await store.vectors(tenant, ids) if ids else {}
        known.update(((tenant, identity), what) for identity, what in found.items())
    texts = [searched(record) for _, record in records]
    vectors: dict[int, Vector] = {}
    for index, ((tenant, record), text) in enumerate(zip(records, texts, strict=True)):
        said, vector = known.get((tenant, record.id), ("", None))
        if vector is not None and said == text:
            vectors[index] = vector
    if new := [index for index in range(len(texts)) if index not in vectors]:
        vectors.update(zip(new, await embed([texts[index] for index in new]), strict=True))
    return [
        Entry(tenant, record, text, vectors[index])
        for index, ((tenant, record), text) in enumerate(zip(records, texts, strict=True))
    ]
