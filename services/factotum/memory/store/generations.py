"""Which collection serves, and which one is being filled to take its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import structlog

from factotum.memory.errors import EmbedderMismatch
from factotum.memory.store import scope
from factotum.memory.store.collection import KEYS, Collection, Database
from factotum.memory.store.port import Entry, Vector
from factotum.memory.store.rows import key_of
from factotum.memory.store.schema import CURRENT, INDEXES, Row, Schema, definition
from factotum.memory.store.schema_1 import DIMENSION, EMBEDDER, NAME, Schema1
from factotum.memory.store.state import Generation, State

_SCHEMAS: Final[dict[int, Schema]] = {schema.version: schema for schema in (Schema1(), CURRENT)}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Space:
    """Where vectors lie: which embedder made them, and how many numbers each has."""

    fingerprint: str
    dimension: int


class Shelf:
    """A generation's collection, opened."""

    def __init__(self, generation: Generation, collection: Collection) -> None:
        self.generation = generation
        self.collection = collection
        self.schema = _SCHEMAS[generation.schema]

    def is_of(self, space: Space) -> bool:
        """Whether its vectors and those of the space compare."""
        return self.generation.fingerprint == space.fingerprint and not self.generation.impure

    def few(self, within: scope.Filter, columns: Sequence[str], most: int) -> list[Row]:
        """As the collection's."""
        return self.collection.few(within, columns, most, _no_vector(self.generation.dimension))

    def present(self, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(keys), KEYS):
            within = scope.near_keys_of_every_tenant(keys[start : start + KEYS], self.schema.columns)
            found |= {row["key"] for row in self.collection.query(within, [])}
        return found & set(keys)

    def write(self, entries: Iterable[Entry], space: Space) -> None:
        rows: dict[str, Row] = {}
        for entry in entries:
            vector = entry.vector if self.is_of(space) else _no_vector(self.generation.dimension)
            row = self.schema.row(entry, vector)
            rows[row["key"]] = row
        self.collection.write(list(rows.values()), self.present(list(rows)))


class Opened:
    """The generations of a connected Milvus. All methods block and raise `MilvusException`.

    A generation is opened as it stands; `begin` and `switch` are the only steps by which another one comes to serve.
    """

    def __init__(self, database: Database, space: Space, *, partitioned: bool) -> None:
        self._database = database
        self._space = space
        self._partitioned = partitioned
        self.state = State.opened(database)
        serving, filling = self.state.generations()
        if serving is None:
            serving = self._first()
        if filling is not None and (filling.schema, filling.fingerprint) != (CURRENT.version, space.fingerprint):
            log.warning("a reindex for another embedder was begun: it is given up", embedder=filling.fingerprint)
            self._discard(filling)
            filling = None
        self.serving = self._shelf(serving)
        self.filling = None if filling is None else self._shelf(filling)
        self._clear_older()

    @property
    def shelves(self) -> list[Shelf]:
        return [self.serving] if self.filling is None else [self.serving, self.filling]

    @property
    def is_settled(self) -> bool:
        return self.filling is None and self.serving.generation.schema == CURRENT.version

    def is_current(self) -> bool:
        """Whether no other process has begun or ended something since."""
        serving, filling = self.state.generations()
        known = self.filling.generation.number if self.filling else None
        return (serving.number if serving else None, filling.number if filling else None) == (
            self.serving.generation.number,
            known,
        )

    def for_meaning(self) -> Shelf:
        """Where vectors of the space find something. Raises `EmbedderMismatch`."""
        for shelf in self.shelves:
            if shelf.is_of(self._space):
                return shelf
        generation = self.serving.generation
        if generation.fingerprint == self._space.fingerprint:
            raise EmbedderMismatch(
                f"a reindex from {generation.fingerprint} to another embedder was begun and given up:"
                " `factotum memory reindex` makes all vectors anew"
            )
        raise EmbedderMismatch(
            f"the store's vectors were made by {generation.fingerprint}, this embedder is {self._space.fingerprint}:"
            " `factotum memory reindex`, or the settings of before"
        )

    def write(self, entries: Sequence[Entry]) -> None:
        """First where it is found, then where it will be. Raises `EmbedderMismatch`."""
        self.for_meaning()
        for shelf in self.shelves:
            shelf.write(entries, self._space)

    def delete(self, tenant: str, ids: Sequence[str]) -> int:
        """First where it would be, then where it is found: what is still found can still be deleted."""
        present = self.serving.present([key_of(tenant, identity) for identity in dict.fromkeys(ids)])
        for shelf in reversed(self.shelves):
            for start in range(0, len(ids), KEYS):
                shelf.collection.delete(scope.of_ids(tenant, ids[start : start + KEYS]))
        return len(present)

    def scrub(self) -> None:
        self._database.scrub()

    def begin(self, *, anew: bool) -> Shelf:
        """A generation to fill, the one begun before or a new one. From now on both are written.

        Args:
            anew: no vector is to be taken over.
        """
        if self.filling is not None:
            return self.filling
        before = self.serving.generation
        generation = replace(self._numbered(before.number + 1), anew=anew)
        self._database.drop(generation.collection)
        self._create(generation)
        if not self.serving.is_of(self._space):
            self.state.note("impure", before)
        self.state.note("filling", generation)
        self.filling = self._shelf(generation)
        return self.filling

    def switch(self) -> None:
        """The generation that was filled serves; the one that served is gone."""
        assert self.filling is not None, "nothing was begun"
        self.state.note("serving", self.filling.generation)
        self.serving, self.filling = self.filling, None
        self._clear_older()

    def sweep(self, page: Sequence[str]) -> None:
        """Of these keys, removes those from the generation being filled that the serving one lacks."""
        assert self.filling is not None, "nothing was begun"
        gone = set(page) - self.serving.present(page)
        if gone:
            self.filling.collection.delete(scope.of_keys_of_every_tenant(gone))

    def _first(self) -> Generation:
        if self._database.has(NAME):
            ours = self._space.fingerprint.startswith(EMBEDDER)
            generation = Generation(0, NAME, Schema1.version, self._space.fingerprint if ours else EMBEDDER, DIMENSION)
        else:
            generation = self._numbered(1)
        self._create(generation)
        self.state.note("serving", generation)
        return generation

    def _numbered(self, number: int) -> Generation:
        space = self._space
        name = f"memories_s{CURRENT.version}_g{number}_{scope.digest(space.fingerprint)[:12]}"
        return Generation(number, name, CURRENT.version, space.fingerprint, space.dimension)

    def _create(self, generation: Generation) -> None:
        # A collection of schema 1 is completed at most: a release of then may have been killed between its steps.
        self._database.create(
            generation.collection, definition(generation.dimension, partitioned=self._partitioned), INDEXES
        )

    def _shelf(self, generation: Generation) -> Shelf:
        return Shelf(generation, self._database.opened(generation.collection))

    def _discard(self, generation: Generation) -> None:
        self._database.drop(generation.collection)
        self.state.forget(generation.number)

    def _clear_older(self) -> None:
        """What a switch leaves behind, also one in the middle of which a process was killed."""
        for older in self.state.served_before(self.serving.generation.number):
            self._database.drop(older.collection)
            self.state.forget(older.number)


def _no_vector(dimension: int) -> Vector:
    """In the place of a vector that the embedder at hand cannot make; nobody searches there by meaning."""
    vector = np.zeros(dimension, np.float32)
    vector[0] = 1.0
    return vector
