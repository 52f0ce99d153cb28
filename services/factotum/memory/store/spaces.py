"""Which embedder's vectors stand where, and what of a vector that comes belongs there. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factotum.memory.errors import EmbedderMismatch
from factotum.memory.store.port import Vector


@dataclass(frozen=True, slots=True)
class Space:
    """Where vectors lie: which embedder made them, and how many numbers each has."""

    fingerprint: str
    dimension: int


class Spaces:
    """Of the vectors that come: the chosen embedder's, and the former one's where the store still holds such.

    A vector that comes is the chosen embedder's, or that and the former one's after it; numbers that are none (NaN)
    stand for the one of the two that was not made. So a vector that was made before the store went over to another
    embedder is still one after that, or it is known that it is none.
    """

    def __init__(self, chosen: Space) -> None:
        self.chosen = chosen
        self.former: Space | None = None

    def part(self, vector: Vector, fingerprint: str) -> Vector | None:
        """What of it compares with this embedder's vectors. Raises `EmbedderMismatch` for one of another length."""
        both = self._is_of_both(vector)
        if fingerprint == self.chosen.fingerprint:
            found = vector[: self.chosen.dimension]
        elif both and self.former is not None and fingerprint == self.former.fingerprint:
            found = vector[self.chosen.dimension :]
        else:
            return None
        return None if both and np.isnan(found[0]) else found

    def is_incomplete(self, vector: Vector) -> bool:
        """Whether it can be made again such that it compares with more."""
        return self._is_of_both(vector) and bool(np.isnan(vector).any())

    def _is_of_both(self, vector: Vector) -> bool:
        if len(vector) == self.chosen.dimension:
            return False
        if self.former is not None and len(vector) == self.chosen.dimension + self.former.dimension:
            return True
        raise EmbedderMismatch(
            f"a vector of {len(vector)} numbers is none of {self.chosen.fingerprint}: it is not kept among others"
        )


def side_by_side(chosen: Vector, former: Vector) -> Vector:
    """As `Spaces` takes them; for rows of vectors, too."""
    return np.concatenate([chosen, former], axis=-1)


def none_made(*shape: int) -> Vector:
    """In the place of a vector, or of rows of them, that was not made: see `Spaces`."""
    return np.full(shape, np.nan, np.float32)


def no_vector(dimension: int) -> Vector:
    """In the place of a vector that no embedder at hand can make, where one stands: it is near to nothing."""
    return np.zeros(dimension, np.float32)
