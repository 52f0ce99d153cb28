"""Of one subject and topic the newest preference stands; the older ones stay as history. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from factotum.api.memory.v1.memory_pb2 import KIND_PREFERENCE, TRUST_MODEL, Record
from factotum.memory.kinds import RULES, Replacing
from factotum.memory.records import derived_id, kind_name


def is_settled(record: Record) -> bool:
    """Whether it is a preference that another can take the place of: one about some topic."""
    return RULES[kind_name(record.kind)].replacing is Replacing.BY_TOPIC and bool(record.topic)


def is_another_word(one: Record, other: Record) -> bool:
    """Whether two preferences under one id say different things, so that one of them is the history of the other.

    What consolidation counts on is one thing that it says of more and more.
    """
    return (
        one.kind == other.kind == KIND_PREFERENCE
        and one.content_sha256 != other.content_sha256
        and not (one.provenance.folded_from and other.provenance.folded_from)
    )


def is_newer(one: Record, other: Record) -> bool:
    return _age(one) > _age(other)


def aside_id(preference: Record) -> str:
    """The id under which it is history when another stands under its own; it follows from what it says and when."""
    when = str(preference.created_at.ToMicroseconds())
    return derived_id("set aside", preference.id, preference.text, when)


def superseded(preference: Record, newer: Record) -> Record:
    """The preference as history of a newer one, or of another that took its place before that."""
    older = _copy(preference)
    if not _superseded_before(older, newer):
        older.superseded_at.FromMicroseconds(_since(preference, newer))
    return older


def settle(coming: Record, standing: Iterable[Record]) -> tuple[Record, list[Record]]:
    """The preference as it is to be kept, and those that stand and change because it comes.

    The newest by `created_at` stands, of those of one moment the one with the greatest id: in which order they come
    makes no difference. What a model says never takes the place of what a person or a system said. Whoever is
    superseded is so since the next newer one. Those without subjects are everybody's.
    """
    rivals = [record for record in standing if record.id != coming.id and _same_matter(record, coming)]
    newer = [record for record in rivals if _age(record) > _age(coming)]
    kept = _copy(coming)
    kept.ClearField("superseded_at")
    if newer:
        kept.superseded_at.FromMicroseconds(min(_since(coming, one) for one in newer))
    changed = []
    for record in rivals:
        if _age(record) < _age(coming) and not _superseded_before(record, coming):
            changed.append(superseded(record, coming))
    return kept, changed


def _superseded_before(record: Record, coming: Record) -> bool:
    return record.HasField("superseded_at") and record.superseded_at.ToMicroseconds() <= _since(record, coming)


def _since(record: Record, other: Record) -> int:
    """Microseconds since 1970 at which both were there."""
    return max(record.created_at.ToMicroseconds(), other.created_at.ToMicroseconds())


def _age(record: Record) -> tuple[bool, int, str]:
    return record.trust != TRUST_MODEL, record.created_at.ToMicroseconds(), record.id


def _same_matter(one: Record, other: Record) -> bool:
    if not (is_settled(one) and one.topic == other.topic):
        return False
    if not one.subjects or not other.subjects:
        return not one.subjects and not other.subjects
    return not set(one.subjects).isdisjoint(other.subjects)


def _copy(record: Record) -> Record:
    result = Record()
    result.CopyFrom(record)
    return result
