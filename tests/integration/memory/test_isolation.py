"""Over the gRPC face, too, a tenant is answered with what is its own, whatever is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.memory.embedders.port import Embedder
from factotum.memory.store.in_memory import InMemoryStore
from tests.support.keeping import servicer_on


class Alike:
    """To it all texts mean the same."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), 4), 0.5, np.float32)

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        return np.full(4, 0.5, np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [1 for _ in texts]


class Refused(Exception):
    """The call was ended with a status."""


class Context:
    async def abort(self, *status: Any, **more: Any) -> None:
        raise Refused(*status)


TEXT = "The printer is on floor two of the house of {}."
CONTEXT: Any = Context()


@pytest.mark.parametrize("tenants", [["acme", "globex"], ["a", "a-b"]])
@pytest.mark.parametrize("subject", ["ada@acme.example", '" or tenant != "', "{tenant}", "acme"])
async def test_every_call_answers_with_the_tenants_own(tenants: list[str], subject: str) -> None:
    identity, query = "x", "which floor is the printer on"
    memory = servicer_on(InMemoryStore(), cast(Embedder, Alike()))
    for tenant in tenants:
        record = pb.Record(id=identity, kind=pb.KIND_DOCUMENT, text=TEXT.format(tenant), subjects=[subject])
        await memory.Remember(pb.RememberRequest(tenant=tenant, records=[record]), CONTEXT)

    async def answered(tenant: str) -> list[list[str]]:
        recalled = await memory.Recall(pb.RecallRequest(tenant=tenant, query=query), CONTEXT)
        listed = await memory.ListRecords(pb.ListRecordsRequest(tenant=tenant, subjects=[subject]), CONTEXT)
        exported = memory.Export(pb.ExportRequest(tenant=tenant, subjects=[subject]), CONTEXT)
        return [
            [found.record.text for found in recalled.recollections],
            [record.text for record in listed.records],
            [one.record.text async for one in exported],
        ]

    for tenant in tenants:
        assert await answered(tenant) == [[TEXT.format(tenant)]] * 3
    await memory.Forget(pb.ForgetRequest(tenant=tenants[0], ids=[identity]), CONTEXT)
    assert await answered(tenants[0]) == [[]] * 3
    for tenant in tenants[1:]:
        assert await answered(tenant) == [[TEXT.format(tenant)]] * 3
