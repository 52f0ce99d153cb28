"""The chosen embedder, and beside it the one whose vectors the store still holds, until a reindex has replaced them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Protocol, Self, TypeVar

import structlog

from factotum.memory.embedders.port import Embedder, Vectors
from factotum.memory.errors import EmbedderRefused, EmbedderUnavailable, VectorsMoved
from factotum.memory.store.port import Shape
from factotum.memory.store.spaces import Space, none_made, side_by_side

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Shaped(Protocol):
    """Of a store, what is asked here."""

    async def shape(self) -> Shape: ...

    def take_also(self, former: Space) -> None: ...


async def with_vectors(work: Callable[[], Awaitable[T]]) -> T:
    """The work, which makes vectors and gives them to a store; once more if the store moved in between."""
    try:
        return await work()
    except VectorsMoved:
        return await work()


class Changing:
    """`port.Embedder` that lets a store go on serving when another embedder was chosen. An async context manager.

    While the store's vectors are another embedder's and that one can be made, each vector is the chosen embedder's and
    the former's, as `store.spaces.Spaces` takes them: the former's always, the chosen one's once a generation is being
    filled with its like, and only if it answers. So nothing waits for the new one before it serves. Where the former
    one cannot be made, and once its vectors are gone, vectors are the chosen one's alone.

    Methods raise `StoreUnavailable` too, until it is known whose vectors the store holds.

    Args:
        chosen: entered; whoever entered it leaves it.
        made: the embedder with a fingerprint, entered; None if it cannot be made here.
    """

    def __init__(self, chosen: Embedder, store: Shaped, made: Callable[[str], Awaitable[Embedder | None]]) -> None:
        self._chosen = chosen
        self._store = store
        self._made = made
        self._learning = asyncio.Lock()
        self._former: Embedder | None = None
        self._missed = ""
        self._is_over = False
        self._in_use = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        former, self._former = self._former, None
        if former is not None:
            await former.__aexit__(kind, error, trace)

    @property
    def fingerprint(self) -> str:
        return self._chosen.fingerprint

    @property
    def dimension(self) -> int:
        return self._chosen.dimension

    @property
    def former(self) -> str:
        """The former embedder's fingerprint, while it is needed; else empty."""
        return self._former.fingerprint if self._former is not None else ""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._chosen.count_tokens(texts)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, see above."""
        former, shape = await self.learn()
        if former is None:
            return await self._chosen.embed(texts)
        async with self._using():
            old, new = await asyncio.gather(former.embed(texts), self._if_wanted(shape, self._chosen.embed, texts))
        return side_by_side(none_made(len(texts), self._chosen.dimension) if new is None else new, old)

    async def embed_query(self, text: str) -> Vectors:
        former, shape = await self.learn()
        if former is None:
            return await self._chosen.embed_query(text)
        async with self._using():
            old, new = await asyncio.gather(
                former.embed_query(text), self._if_wanted(shape, self._chosen.embed_query, text)
            )
        return side_by_side(none_made(self._chosen.dimension) if new is None else new, old)

    async def learn(self) -> tuple[Embedder | None, Shape | None]:
        """The former embedder, as long as its vectors serve, and in which form the store is then."""
        if self._is_over:
            return None, None
        shape = await self._store.shape()
        if shape.fingerprint == self._chosen.fingerprint:
            self._is_over = True
            await self._let_go()
            return None, None
        async with self._learning:
            former = self._former
            if self._is_over or (former is not None and former.fingerprint != shape.fingerprint):
                # Another process made the store go over to a third one.
                return None, None
            if former is None and shape.fingerprint != self._missed:
                former = await self._begun(shape.fingerprint)
            return former, shape

    async def _begun(self, fingerprint: str) -> Embedder | None:
        former = await self._made(fingerprint)
        if former is None:
            self._missed = fingerprint
        else:
            self._store.take_also(Space(former.fingerprint, former.dimension))
            self._former = former
        log.warning(
            "the store holds another embedder's vectors: `factotum memory reindex` makes them anew",
            chosen=self._chosen.fingerprint,
            theirs=fingerprint,
            until_then="it goes on with that one" if former else "searches are by words",
        )
        return former

    async def _if_wanted(
        self, shape: Shape | None, embed: Callable[[T], Awaitable[Vectors]], what: T
    ) -> Vectors | None:
        if shape is None or shape.filling != self._chosen.fingerprint:
            return None
        try:
            return await embed(what)
        except (EmbedderUnavailable, EmbedderRefused) as error:
            log.warning("no vector of the chosen embedder yet", reason=str(error))
            return None

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[None]:
        self._in_use += 1
        try:
            yield
        finally:
            self._in_use -= 1
            await self._let_go()

    async def _let_go(self) -> None:
        """Of the former embedder and its memory, if it is over and nobody waits for it."""
        if self._is_over and not self._in_use:
            await self.__aexit__(None, None, None)
