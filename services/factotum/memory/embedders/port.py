"""What every embedder can do. `Embedder` has several implementations and one suite that runs on all."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors whose inner product tells how near they are in meaning. An async context manager.

    Entered, it is ready, or raises what its implementation names. The event loop stays free while it works.
    Methods raise `EmbedderUnavailable` where the answer may come later and `EmbedderRefused` where it will not.
    """

    @property
    def fingerprint(self) -> str:
        """Which vectors these are: two embedders with one fingerprint give the same ones, and only these compare.

        At most 200 characters, without blanks; known once entered.
        """

    @property
    def dimension(self) -> int:
        """Of every vector."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, in order: float32 [len(texts), dimension], each of length one."""

    async def embed_query(self, text: str) -> Vectors:
        """What a search for the text looks with: float32 [dimension]. It does not wait for longer work under way."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the model each text has, the special ones left out; the text may be cut for embedding.

        Exact where the tokenizer is at hand, else an estimate, which the implementation tells.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
