"""The records brought into the form of this release and of this embedder, while the service serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.errors import EmbedderUnavailable, StoreRefused, StoreUnavailable
from factotum.memory.searched import searched
from factotum.memory.store.port import Prepare, Shape, Store, Vector

# Seconds between attempts while the store is away: the first pause and the longest.
RETRY_SECONDS = (1.0, 60.0)

log = structlog.get_logger(__name__)


# Texts to vectors, float32 [texts, dimension].
Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]


def preparing(embed: Embed) -> Prepare:
    """What a store asks for when it makes a generation: what is searched of each record, and the vector of that."""

    async def prepare(records: Sequence[Record]) -> Sequence[tuple[str, Vector]]:
        texts = [searched(record) for record in records]
        return list(zip(texts, await embed(texts), strict=True))

    return prepare


def warnings(shape: Shape, chosen: str, former: str) -> list[str]:
    """What somebody should know of a store in this form.

    Args:
        chosen: fingerprint of the embedder of the settings.
        former: of the one that is there as well; empty: none is.
    """
    theirs = shape.fingerprint
    if theirs in ("", chosen):
        return []
    serves = (
        "it goes on serving"
        if former == theirs
        else "it cannot be made here, so searches are by words, and by meaning only among what came since"
    )
    return [f"vectors are those of {theirs}, {serves}: `factotum memory reindex` makes them anew with {chosen}"]


async def settle(store: Store, embed: Embed) -> None:
    """Ends what an older release or an interrupted reindex left; tries again while the store or embedder is away."""

    def told(done: int, total: int) -> None:
        log.info("records are moved", done=done, total=total)

    wait, longest = RETRY_SECONDS
    while True:
        try:
            await store.settle(preparing(embed), told)
            return
        except (StoreUnavailable, EmbedderUnavailable) as error:
            log.warning("records could not be moved: trying again", reason=str(error), seconds=wait)
        except StoreRefused as error:
            log.error("records cannot be moved", reason=str(error))
            return
        await asyncio.sleep(wait)
        wait = min(2 * wait, longest)
