"""Which collection serves, and which one is being filled to take its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from factotum.api.memory.v1.memory_pb2 import KIND_DOCUMENT, Record
from factotum.memory.errors import StoreFaulty, StoreUnavailable, VectorsMoved
from factotum.memory.records import completed
from factotum.memory.store import scope
from factotum.memory.store.collection import KEYS, Collection, Database
from factotum.memory.store.columns import faults, missing
from factotum.memory.store.faults import ERRORS, faulty_columns, is_refusal
from factotum.memory.store.port import Entry, Vector
from factotum.memory.store.rows import key_of, moment
from factotum.memory.store.schema import CURRENT, INDEXES, Row, Schema, definition
from factotum.memory.store.schema_1 import DIMENSION, EMBEDDER, NAME, Schema1
from factotum.memory.store.spaces import Spaces, no_vector
from factotum.memory.store.state import Generation, State

_SCHEMAS: Final[dict[int, Schema]] = {schema.version: schema for schema in (Schema1(), CURRENT)}

# Tenant, id and text of a record that nothing can be wrong with.
PROBE: Final = "factotum-probe"

log = structlog.get_logger(__name__)


class Shelf:
    """A generation's collection, opened."""

    def __init__(self, generation: Generation, collection: Collection) -> None:
        self.generation = generation
        self.collection = collection
        self.schema = _SCHEMAS[generation.schema]

    def few(self, within: scope.Filter, columns: Sequence[str], most: int) -> list[Row]:
        """As the collection's."""
        return self.collection.few(within, columns, most, no_vector(self.generation.dimension))

    def present(self, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(keys), KEYS):
            within = scope.near_keys_of_every_tenant(keys[start : start + KEYS], self.schema.columns)
            found |= {row["key"] for row in self.collection.query(within, [])}
        return found & set(keys)

    def write(self, entries: Iterable[tuple[Entry, Vector]]) -> None:
        """Each entry with its vector for here; of those with the same key, the last."""
        rows: dict[str, Row] = {}
        for entry, vector in entries:
            row = self.schema.row(entry, vector)
            rows[row["key"]] = row
        if rows:
            self.collection.write(list(rows.values()), self.present(list(rows)))


class Opened:
    """The generations of a connected Milvus. All methods block and raise `faults.ERRORS`.

    Making it raises `StoreFaulty` where what is there is not this release's. A generation is opened as it stands;
    `begin` and `switch` are the only steps by which another one comes to serve.
    """

    def __init__(self, database: Database, spaces: Spaces, *, partitioned: bool) -> None:
        self._database = database
        self._spaces = spaces
        self._partitioned = partitioned
        self.state = State.opened(database)
        serving, filling = self.state.generations()
        if serving is None:
            serving = self._first()
        if filling is not None and not partitioned and not self._is_ours(filling):
            # On a server another process may be filling it. All that it holds is in the serving one as well.
            self._discard(filling)
            filling = None
        self.serving = self._shelf(serving)
        self.filling = None if filling is None else self._shelf(filling)
        self._clear_older()

    @property
    def shelves(self) -> list[Shelf]:
        return [self.serving] if self.filling is None else [self.serving, self.filling]

    @property
    def being_filled(self) -> Shelf:
        """The generation that was begun. Raises `StoreUnavailable` if another process has given it up meanwhile."""
        if self.filling is None:
            raise StoreUnavailable("the reindex was given up by another process: ask for it again")
        return self.filling

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be done without being asked for."""
        serving = self.serving.generation
        return (
            (self.filling is None or self.filling.generation.waiting or not self._is_ours(self.filling.generation))
            and serving.schema == CURRENT.version
            and not (serving.impure and serving.fingerprint == self._spaces.chosen.fingerprint)
        )

    def is_current(self) -> bool:
        """Whether no other process has begun or ended something since."""
        serving, filling = self.state.generations()
        known = self.filling.generation.number if self.filling else None
        return (serving.number if serving else None, filling.number if filling else None) == (
            self.serving.generation.number,
            known,
        )

    def for_meaning(self, vector: Vector) -> tuple[Shelf, Vector] | None:
        """Where a vector finds something, and what of it does; None: nowhere.

        Raises `VectorsMoved`, `EmbedderMismatch`.
        """
        for shelf in self.shelves:
            part = self._spaces.part(vector, shelf.generation.fingerprint)
            if part is not None:
                return shelf, part
        if self._spaces.is_incomplete(vector):
            raise VectorsMoved("the store has another embedder's vectors by now")
        return None

    def write(self, entries: Sequence[Entry]) -> None:
        """First where it is found, then where it will be. Raises `VectorsMoved`, `EmbedderMismatch`.

        Where it is found it stands in any case, be it without a vector, so that its words are found. Where it will be
        it stands with its vector or not at all: whoever fills that finds it missing.
        """
        serving = self.serving.generation
        here = [self._spaces.part(entry.vector, serving.fingerprint) for entry in entries]
        if any(part is None and self._spaces.is_incomplete(e.vector) for part, e in zip(here, entries, strict=True)):
            raise VectorsMoved("the store has another embedder's vectors by now")
        if any(part is None for part in here):
            self._take_without_vectors()
        try:
            self._write(entries, here)
        except ERRORS as error:
            if is_refusal(error):
                self._check_that_others_are_taken()
            raise

    def _write(self, entries: Sequence[Entry], here: Sequence[Vector | None]) -> None:
        self.serving.write(
            (entry, no_vector(self.serving.generation.dimension) if part is None else part)
            for entry, part in zip(entries, here, strict=True)
        )
        if self.filling is not None:
            there = [(e, self._spaces.part(e.vector, self.filling.generation.fingerprint)) for e in entries]
            self.filling.write((entry, part) for entry, part in there if part is not None)
            if lacking := [key_of(e.tenant, e.record.id) for e, part in there if part is None]:
                self.filling.collection.delete(scope.of_keys_of_every_tenant(lacking))

    def delete(self, tenant: str, ids: Sequence[str]) -> int:
        """First where it would be, then where it is found: what is still found can still be deleted."""
        present = self.serving.present([key_of(tenant, identity) for identity in dict.fromkeys(ids)])
        for shelf in reversed(self.shelves):
            for start in range(0, len(ids), KEYS):
                shelf.collection.delete(scope.of_ids(tenant, ids[start : start + KEYS]))
        return len(present)

    def scrub(self) -> None:
        self._database.scrub([shelf.generation.collection for shelf in self.shelves] + [self.state.collection])

    def begin(self, *, anew: bool) -> Shelf:
        """A generation to fill, the one begun before or a new one. From now on both are written.

        Args:
            anew: no vector is to be taken over.
        """
        if self.filling is not None and not self._is_ours(self.filling.generation):
            self._discard(self.filling.generation)
            self.filling = None
        if self.filling is None:
            return self._begun(anew=anew, waiting=False)
        if self.filling.generation.waiting:
            self.state.forget(self.filling.generation.number, "waiting")
            self.filling.generation = replace(self.filling.generation, waiting=False)
        return self.filling

    def switch(self) -> bool:
        """The generation that was filled serves, and the one that served is gone; unless it lacks something."""
        every = scope.of_every_tenant()
        if self.being_filled.collection.count(every) < self.serving.collection.count(every):
            return False
        self.state.note("serving", self.being_filled.generation)
        self.serving, self.filling = self.being_filled, None
        self._clear_older()
        return True

    def sweep(self, page: Sequence[str]) -> int:
        """Of these keys, removes those from the generation being filled that the serving one lacks, and counts them."""
        gone = set(page) - self.serving.present(page)
        if gone:
            self.being_filled.collection.delete(scope.of_keys_of_every_tenant(gone))
        return len(gone)

    def _check_that_others_are_taken(self) -> None:
        """Raises `StoreFaulty` if a harmless record is refused as well: it is not the record, then."""
        for shelf in self.shelves:
            none = no_vector(shelf.generation.dimension)
            record = completed(PROBE, Record(id=PROBE, kind=KIND_DOCUMENT, text=PROBE), moment(0))
            try:
                shelf.write([(Entry(PROBE, record, PROBE, none), none)])
            except ERRORS as error:
                raise faulty_columns(shelf.generation.collection, [f"it refuses every record, by {error}"]) from error
            shelf.collection.delete(scope.of_ids(PROBE, [PROBE]))

    def _take_without_vectors(self) -> None:
        """From now on records stand here without a vector, and with one in another generation, which is filled."""
        if not self.serving.generation.impure:
            self.state.note("impure", self.serving.generation)
            self.serving.generation = replace(self.serving.generation, impure=True)
        if self.filling is None:
            log.warning(
                "what comes is found by its words, and by its meaning among what came since: `factotum memory reindex`",
                embedder=self._spaces.chosen.fingerprint,
                before=self.serving.generation.fingerprint,
            )
            self._begun(anew=False, waiting=True)

    def _begun(self, *, anew: bool, waiting: bool) -> Shelf:
        generation = replace(self._numbered(self.serving.generation.number + 1), anew=anew)
        self._database.drop(generation.collection)
        # Of one with this number that was given up.
        self.state.forget(generation.number)
        self._create(generation)
        if waiting:
            self.state.note("waiting", generation)
        self.state.note("filling", generation)
        self.filling = self._shelf(replace(generation, waiting=waiting))
        return self.filling

    def _first(self) -> Generation:
        if self._database.has(NAME):
            chosen = self._spaces.chosen.fingerprint
            ours = chosen.startswith(EMBEDDER)
            generation = Generation(0, NAME, Schema1.version, chosen if ours else EMBEDDER, DIMENSION)
        else:
            generation = self._numbered(1)
        self._create(generation)
        self.state.note("serving", generation)
        return generation

    def _numbered(self, number: int) -> Generation:
        space = self._spaces.chosen
        name = f"memories_s{CURRENT.version}_g{number}_{scope.digest(space.fingerprint)[:12]}"
        return Generation(number, name, CURRENT.version, space.fingerprint, space.dimension)

    def _create(self, generation: Generation) -> None:
        # A collection of schema 1 is completed at most: a release of then may have been killed between its steps.
        self._database.create(
            generation.collection, definition(generation.dimension, partitioned=self._partitioned), INDEXES
        )

    def _shelf(self, generation: Generation) -> Shelf:
        name, schema = generation.collection, _SCHEMAS.get(generation.schema)
        if schema is None:
            raise StoreFaulty(
                f"{name} has the schema {generation.schema}, this release knows those up to {CURRENT.version}:"
                " start the release that made it, or a newer one"
            )
        found = self._database.columns(name)
        if schema is CURRENT:
            faulty = faults(definition(generation.dimension, partitioned=self._partitioned), found)
        else:
            faulty = missing(("key", "dense", *schema.full), found)
        if faulty:
            raise faulty_columns(name, faulty)
        return Shelf(generation, self._database.opened(generation.collection))

    def _is_ours(self, generation: Generation) -> bool:
        """Whether what is written here has vectors for it."""
        chosen = self._spaces.chosen.fingerprint
        return (generation.schema, generation.fingerprint) == (CURRENT.version, chosen)

    def _discard(self, generation: Generation) -> None:
        log.warning("a reindex for another embedder was begun: it is given up", embedder=generation.fingerprint)
        self._database.drop(generation.collection)
        self.state.forget(generation.number)

    def _clear_older(self) -> None:
        """What a switch leaves behind, also one in the middle of which a process was killed."""
        for older in self.state.served_before(self.serving.generation.number):
            self._database.drop(older.collection)
            self.state.forget(older.number)
