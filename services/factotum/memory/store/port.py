"""What every store of records can do. `Store` has two implementations and one suite that runs on both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from factotum.api.memory.v1.memory_pb2 import Receipt, Record
from factotum.memory.marks import Mark

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Entry:
    """A completed record, its tenant, what is searched in its stead and the vector of that (of length one).

    `searched` is the text with what surrounds it (who spoke, the headings above): it is embedded and its words are
    indexed; the record's own text is what is given back.
    """

    tenant: str
    record: Record
    searched: str
    vector: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which records may be looked at. The tenant's alone; every other part narrows further, empty ones do not.

    `contents` are values of `content_sha256`. `alive_at` leaves out what has expired then; `after` is included and
    `before` is not (of `created_at`).
    """

    tenant: str
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    run_id: str = ""
    document: str = ""
    contents: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None
    alive_at: datetime | None = None
    history: bool = False


# Not frozen, as a recall makes hundreds and that takes five times as long; nobody changes one.
@dataclass(slots=True)
class Candidate:
    """A record found by a search, without its text: what ranking needs. `score` is a cosine or a BM25 score."""

    id: str
    kind: str
    run_id: str
    created_at: datetime
    importance: float
    sequence: str
    position: int
    speaker: str
    content_sha256: str
    score: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A record that stands: what ranking needs of it, its score 0, and how to have it whole, without a look into the
    store. Dozens are looked at for the ten that are answered."""

    candidate: Candidate
    whole: Callable[[], Record]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive positions of a sequence, both ends included."""

    sequence: str
    first: int
    last: int


class Burial(StrEnum):
    """Why a record with this id must not be kept again."""

    FORGOTTEN = "forgotten"
    FOLDED = "folded"


@dataclass(frozen=True, slots=True)
class Shape:
    """In which form records stand, and with whose vectors; not settled: they are being moved into another one.

    `filling` is whose vectors stand in the one that is being filled; empty: none is.
    """

    schema_version: int
    fingerprint: str
    settled: bool
    filling: str = ""


# What is searched in the stead of each record, and the vector of that.
Prepare = Callable[[Sequence[Record]], Awaitable[Sequence[tuple[str, Vector]]]]
# Records done, and records in all.
Progress = Callable[[int, int], None]


class Store(Protocol):
    """Keeps entries, finds them, lets them go. What one call has done, every later call sees.

    Every method raises `StoreUnavailable` when the store did not do what it was asked; it may then have done a part.
    Vectors are such as `spaces.Spaces` says. `search` and `upsert` raise `VectorsMoved` for one that is to be made
    again, and `EmbedderMismatch` for one that could be nobody's.
    """

    async def upsert(self, entries: Sequence[Entry]) -> None:
        """Keeps the entries; of those with the tenant and id of another, the last."""

    async def search(
        self, scope: Scope, vector: Vector | Awaitable[Vector], words: str, count: int
    ) -> tuple[list[Candidate], list[Candidate]]:
        """The `count` records of the scope nearest in meaning, and those nearest in words (BM25), best first.

        While a vector is still being made the words are looked for; what making it raises is raised here. Where the
        vectors that stand are another embedder's, by meaning only those are found that were kept since.
        """

    async def get(self, tenant: str, ids: Sequence[str]) -> dict[str, Record]:
        """The records with these ids, as far as they stand, by id."""

    async def vectors(self, tenant: str, ids: Sequence[str]) -> dict[str, tuple[str, Vector]]:
        """Of the records with these ids, as far as they stand: what is searched in their stead, and its vector.

        Empty while other vectors than the chosen embedder's stand, or stand beside them.
        """

    async def stretches(self, scope: Scope, stretches: Sequence[Stretch]) -> list[Candidate]:
        """The records of the scope at these places, in no order; their scores are 0."""

    async def standing(self, scope: Scope, ids: Sequence[str], stretches: Sequence[Stretch]) -> list[Standing]:
        """The records of the scope with one of these ids or at one of these places, each once, in no order."""

    def records(self, scope: Scope) -> AsyncIterator[Record]:
        """All records of the scope, in no order. What is kept or removed meanwhile may be among them or not."""

    async def count(self, scope: Scope) -> dict[str, int]:
        """How many records of the scope there are, by kind; kinds without any are left out."""

    async def tenants(self) -> list[str]:
        """The tenants with at least one record."""

    async def delete(self, tenant: str, ids: Sequence[str]) -> int:
        """Removes these records for good, from every index; returns how many there were. No call after it finds one."""

    async def scrub(self) -> None:
        """After it what was deleted is not in the store's files any more, as far as that is in our hands: a Milvus
        server is asked to clear its files, and does so later."""

    async def bury(self, tenant: str, ids: Sequence[str], why: Burial, now: datetime) -> None:
        """Remembers that these ids must not be kept again, whether such records stand or not; not what they said.

        `upsert` leaves out entries with an id that is buried. What is forgotten is not buried as folded afterwards.
        """

    async def buried(self, tenant: str, ids: Sequence[str]) -> dict[str, Burial]:
        """Which of these ids are buried, and why."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write to it."""

    async def mark(self, mark: Mark) -> None:
        """Remembers the mark. Once it returns, whoever writes then has been able to read it before."""

    async def marks(self, since: datetime) -> list[Mark]:
        """The marks of every tenant that are not older, and only those are remembered any longer."""

    async def keep_receipt(self, tenant: str, receipt: Receipt) -> None:
        """Keeps the receipt for good."""

    async def receipts(self, tenant: str) -> list[Receipt]:
        """The receipts of the tenant, newest first."""

    async def shape(self) -> Shape:
        """In which form the records stand."""

    async def settle(self, prepare: Prepare, progress: Progress) -> None:
        """Ends what was begun: a reindex that was interrupted, or the move from the schema of an older release.

        Serves meanwhile. Does nothing where all is settled.
        """

    async def reindex(self, prepare: Prepare, progress: Progress) -> None:
        """Prepares every record of every tenant anew, while the store serves; begun and interrupted, `settle` ends it.

        Until it ends, searches by words find everything, and those by meaning what they found before: with the vectors
        of the former embedder, where they come with the chosen one's; else, of what stood before, what is done so far.
        """
