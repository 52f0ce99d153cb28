"""Keeping as a test wants it: what is not named is fresh, and the clock is the machine's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from factotum.memory.consolidating import Consolidating
from factotum.memory.embedders.port import Embedder
from factotum.memory.forgetting import Forgetting
from factotum.memory.given_out import GivenOut
from factotum.memory.grpc import MemoryServicer
from factotum.memory.grpc_governance import Governance
from factotum.memory.keeping import Keeping
from factotum.memory.recall import Recalling
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.refusals import Refusals
from factotum.memory.settling import preparing
from factotum.memory.store.port import Store
from factotum.runtime import clock


def keeping_on(
    store: Store,
    embedder: Embedder,
    *,
    given_out: GivenOut | None = None,
    forgotten: RecentlyForgotten | None = None,
    refusals: Refusals | None = None,
    now: Callable[[], datetime] = clock.now,
) -> Keeping:
    return Keeping(
        store,
        embedder,
        given_out=given_out or GivenOut(),
        forgotten=forgotten or RecentlyForgotten(lambda: "salt"),
        refusals=refusals or Refusals(),
        now=now,
    )


def servicer_on(store: Store, embedder: Embedder, *, now: Callable[[], datetime] = clock.now) -> MemoryServicer:
    """The whole gRPC face, as `memory.main` composes it, with nothing behind on Kafka."""
    given_out, forgotten, refusals = GivenOut(), RecentlyForgotten(lambda: "salt"), Refusals()
    keeping = keeping_on(store, embedder, given_out=given_out, forgotten=forgotten, refusals=refusals, now=now)
    governance = Governance(
        forgetting=Forgetting(store, embedder, forgotten, passed=keeping.passed, now=now, new_id=lambda: uuid4().hex),
        consolidating=Consolidating(store, keeping, now),
        refusals=refusals,
        prepare=preparing(embedder.embed),
        embedder="of the tests",
        lag=nothing_behind,
        now=now,
    )
    return MemoryServicer(store, embedder, keeping, Recalling(store, embedder, now), given_out, governance)


async def nothing_behind() -> int:
    return 0
