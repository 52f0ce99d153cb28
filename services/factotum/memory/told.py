"""A record as the rules of consolidation see it. Pure.

Attributes are whatever a caller of `Remember` wrote into them: here they are read into types, and what is not of its
type is as if it were not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, KIND_PREFERENCE, TRUST_SYSTEM, Record
from factotum.memory.ingest import choices
from factotum.memory.records import MAX_TOPIC_CHARACTERS, derived_id, normal
from factotum.sdk.characters import line

REPEATED, HABIT = "repeated", "habit"
FEWEST = 3
# Of a tool's name and of an error's kind.
MAX_NAME_CHARACTERS = 256
_DIGEST_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Told:
    """An observation, or what a consolidation made of earlier ones.

    Args:
        folded: the rule by which a consolidation made it, empty for all others: see `_made_by`.
        arguments: those that may be a choice.
        values: the attributes, of which nothing is known.
    """

    record: Record
    tool: str
    error: str
    folded: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def moment(self) -> datetime:
        return self.record.created_at.ToDatetime(tzinfo=UTC)

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(sorted(self.record.subjects))

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.record.provenance.folded_from)

    def text_of(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    @property
    def count(self) -> int:
        """How many observations it tells of; of one that does not say so, those it names."""
        value = self.values.get("count")
        return value if type(value) is int and value > 0 else len(self.sources)

    @property
    def first(self) -> datetime:
        """When the first of what it tells of was."""
        try:
            moment = datetime.fromisoformat(self.text_of("first"))
        except ValueError:
            return self.moment
        return moment if moment.tzinfo else self.moment


def told(tenant: str, record: Record) -> Told:
    try:
        values = json.loads(record.attributes_json or "{}")
    except (ValueError, RecursionError):
        values = {}
    if not isinstance(values, dict):
        values = {}
    arguments = values.get("arguments")
    return Told(
        record,
        tool=_name(values.get("tool")),
        error=_name(values.get("error")),
        folded=_made_by(tenant, record, values),
        arguments=choices(arguments) if isinstance(arguments, dict) else {},
        values=values,
    )


def topic_of(tool: str, argument: str) -> str:
    """What a habit is about; what is too long for a topic ends with a hash of the whole."""
    topic = normal(line(f"{tool} {argument}"))
    if len(topic) <= MAX_TOPIC_CHARACTERS:
        return topic
    return f"{topic[: MAX_TOPIC_CHARACTERS - _DIGEST_CHARACTERS - 1]} {derived_id(topic)}"


def episode_id(tenant: str, sources: tuple[str, ...]) -> str:
    return derived_id(tenant, REPEATED, *sorted(sources))


def habit_id(tenant: str, subjects: tuple[str, ...], topic: str, value: str) -> str:
    return derived_id(tenant, HABIT, *subjects, topic, value)


def _made_by(tenant: str, record: Record, values: Mapping[str, Any]) -> str:
    """The rule that made it. What the attributes claim is believed of a system's record that has sources, which
    `Remember` takes from nobody, and whose id is the one that follows from what it was made from."""
    sources = tuple(record.provenance.folded_from)
    if record.trust != TRUST_SYSTEM or not sources:
        return ""
    rule = values.get("folded")
    if rule == REPEATED and record.kind == KIND_EPISODE and record.id == episode_id(tenant, sources):
        return REPEATED
    tool, argument, value = (values.get(name) for name in ("tool", "argument", "value"))
    if rule != HABIT or record.kind != KIND_PREFERENCE:
        return ""
    if not (isinstance(tool, str) and isinstance(argument, str) and isinstance(value, str)):
        return ""
    subjects, topic = tuple(sorted(record.subjects)), topic_of(tool, argument)
    return HABIT if record.topic == topic and record.id == habit_id(tenant, subjects, topic, value) else ""


def _name(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_NAME_CHARACTERS else ""
