"""Keeping as a test wants it: what is not named is fresh, and the clock is the machine's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from factotum.memory.embedders.onnx import Embedder
from factotum.memory.given_out import GivenOut
from factotum.memory.keeping import Keeping
from factotum.memory.recently_forgotten import RecentlyForgotten
from factotum.memory.refusals import Refusals
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
        forgotten=forgotten or RecentlyForgotten(),
        refusals=refusals or Refusals(),
        now=now,
    )
