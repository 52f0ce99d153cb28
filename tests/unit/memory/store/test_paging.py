"""A listing of everything, on a collection that a server keeps in several parts."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from pymilvus import MilvusClient

from factotum.memory.store.collection import Collection
from factotum.memory.store.scope import of_every_tenant


class InParts:
    """Answers queries as a Milvus server does: each part gives the first `limit` of what it has, also several versions
    of a row that was replaced there, and these are merged by their keys to one version each.

    Where it is not told to stop, the merging goes on with the other parts when one has given all that it was asked for.
    """

    def __init__(self, *parts: list[str]) -> None:
        self._parts = [sorted(part) for part in parts]

    def query(self, name: str, *, filter: str, limit: int, **more: Any) -> list[dict[str, Any]]:
        after = max(re.findall(r'key > "([0-9a-f]*)"', filter))
        left = [[key for key in part if key > after] for part in self._parts]
        given = [part[:limit] for part in left]
        rows = sorted({key for part in given for key in part})
        if more.get("reduce_stop_for_best") == "True" and more.get("iterator") == "True":
            last = min(
                (part[-1] for part, all_of_it in zip(given, left, strict=True) if part != all_of_it), default="g"
            )
            return [{"key": key} for key in rows if key <= last]
        return [{"key": key} for key in rows[:limit]]


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_every_row_is_listed_once(size: int) -> None:
    keys = [f"{number:04x}" for number in range(40)]
    # One part is full of rows that were replaced; beside it stand rows that were not.
    parts = InParts([key for key in keys[:20] for _ in range(3)], keys[20:30], keys[30:])
    collection = Collection(cast(MilvusClient, parts), "memories", timeout=1.0, lite=False)
    pages = list(collection.pages(of_every_tenant(), [], size))
    assert all(len(page) <= size for page in pages)
    assert [row["key"] for page in pages for row in page] == keys
