"""What stands while a batch is decided on: the records of the store that matter to it, and those before in it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from factotum.api.memory.v1.memory_pb2 import KIND_OBSERVATION, KIND_THOUGHT, Record
from factotum.memory.filtering import said
from factotum.memory.preferences import aside_id, is_another_word, is_newer, is_settled, settle, superseded
from factotum.memory.store.port import Burial


def is_step(record: Record) -> bool:
    """Whether it is to get a place in its run: what came of a step, or what was thought of it, in the order of coming.

    The events of a run come in the order of its steps' ends, those of steps beside each other in any.
    """
    return bool(record.run_id) and record.kind in (KIND_OBSERVATION, KIND_THOUGHT) and not record.place.sequence


class Overview:
    """Of one tenant. `written` are the records that are to be written, by id, the last of each; `stood` are the ids of
    those that stand in the store.

    Args:
        ends: by run, the position after its last step that stands.
    """

    def __init__(
        self, records: Iterable[Record], buried: Mapping[str, Burial], ends: Mapping[str, int] | None = None
    ) -> None:
        self.buried = buried
        self.written: dict[str, Record] = {}
        self._ends = dict(ends or {})
        self._records: dict[str, Record] = {}
        self._said: dict[tuple[Any, ...], list[Record]] = {}
        for record in records:
            self._put(record)
        self.stood = frozenset(self._records)

    def get(self, identity: str) -> Record | None:
        return self._records.get(identity)

    def keep(self, record: Record) -> None:
        """A step stays where it stood, or is the next of its run."""
        if is_step(record):
            there = self._records.get(record.id)
            if there is not None and there.place.sequence == record.run_id:
                record.place.CopyFrom(there.place)
            else:
                position = self._ends.get(record.run_id, 0)
                record.place.sequence, record.place.position = record.run_id, position
                self._ends[record.run_id] = position + 1
        self.written[record.id] = record
        self._put(record)

    def settle(self, preference: Record, newer: Record | None = None) -> bool:
        """Keeps the preference and marks those in whose place it stands; says whether a newer one stands in its own.

        Args:
            newer: one that stands in its own, whatever that is about.
        """
        kept, changed = settle(preference, self._records.values())
        if newer is not None:
            kept = superseded(kept, newer)
        for record in (*changed, kept):
            if record != self._records.get(record.id):
                self.keep(record)
        return kept.HasField("superseded_at")

    def newer_word(self, preference: Record) -> Record | None:
        """The preference that stands under its id, says something else and is newer: beside it, it is history."""
        there = self._records.get(preference.id)
        if there is None or not is_another_word(there, preference) or not is_newer(there, preference):
            return None
        return there

    def make_way(self, coming: Record) -> None:
        """Where it takes the place of a preference that says something else under its id, that stays as history."""
        there = self._records.get(coming.id)
        if there is not None and is_another_word(there, coming):
            older = superseded(there, coming)
            older.id = aside_id(there)
            self.keep(older)

    def said_again(self, given: Record, preference: Record) -> Record | None:
        """The preference that stands and that this one, which was given without id and time, only says again."""
        if given.id or given.HasField("created_at") or not is_settled(preference):
            return None
        for other in self._said.get(said(preference) or (), ()):
            same = Record()
            same.CopyFrom(preference)
            same.id = other.id
            if self._records[other.id] is other and stands_so(given, same, other):
                return other
        return None

    def knows(self, record: Record) -> bool:
        """Whether another record says the same, by a word of at least its weight."""
        what = said(record)
        if what is None:
            return False
        return any(
            # The smaller the number of a trust, the more it weighs: person, system, model.
            other.id != record.id and other.trust <= record.trust and not other.HasField("superseded_at")
            for other in self._said.get(what, ())
            if self._records[other.id] is other
        )

    def _put(self, record: Record) -> None:
        self._records[record.id] = record
        if (what := said(record)) is not None:
            self._said.setdefault(what, []).append(record)


def outranks(standing: Record, coming: Record) -> bool:
    """Whether what stands under an id does not make way for this: it is of another kind, or a word of more weight.

    The chunks of a document may come to be kept as another kind.
    """
    document = standing.provenance.document
    is_same_chunk = bool(document) and document == coming.provenance.document
    return standing.trust < coming.trust or (standing.kind != coming.kind and not is_same_chunk)


def stands_so(given: Record, completed: Record, standing: Record) -> bool:
    """Whether a record stands already as it comes.

    A caller who names no time (`given`) says that it holds now: it stands if it was not superseded.
    """
    coming, there = _comparable(completed), _comparable(standing)
    if is_step(completed) and standing.place.sequence == completed.run_id:
        there.ClearField("place")
    if not given.HasField("created_at"):
        if standing.HasField("superseded_at"):
            return False
        coming.created_at.CopyFrom(there.created_at)
        if not given.HasField("expires_at"):
            coming.ClearField("expires_at")
            there.ClearField("expires_at")
    return coming == there


def _comparable(record: Record) -> Record:
    """Without what is not the caller's, in a form that no store's round trip changes."""
    result = Record()
    result.CopyFrom(record)
    result.ClearField("superseded_at")
    result.attributes_json = json.dumps(json.loads(record.attributes_json), sort_keys=True)
    # Milvus keeps a float of 32 bits.
    result.importance = round(record.importance, 5)
    return result
