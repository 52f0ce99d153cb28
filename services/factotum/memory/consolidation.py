"""What of the kept observations can be told in fewer words: the plan of a consolidation. Pure.

Two rules. *Repeated*: at least `FEWEST` observations of one tool that are about the same and say the same, apart from
numbers and times, become one episode that tells how often and when. *Habit*: a subject for whom one argument of one
tool had the same value in at least `FEWEST` runs, and never another, gets a preference, which goes when it is broken.
What only a few times happened, and what happened in the last `SETTLED_AFTER`, is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from factotum.api.memory.v1.memory_pb2 import (
    KIND_EPISODE,
    KIND_OBSERVATION,
    KIND_PREFERENCE,
    TRUST_PERSON,
    TRUST_SYSTEM,
    Record,
)
from factotum.memory.records import derived_id, normal
from factotum.memory.telling import cut

REPEATED, HABIT = "repeated", "habit"
# The kinds that the rules look at; of others only what has expired goes.
LOOKED_AT = ("observation", "episode", "preference")
FEWEST = 3
SETTLED_AFTER = timedelta(days=1)
# Ids that one record names as what it was made from, and how long they may be together.
MOST_FOLDED = 500
MOST_FOLDED_CHARACTERS = 40_000

# What varies in what is otherwise the same: addresses and links, numbers in all their forms, ids.
_VARYING = re.compile(r"\S+@\S+|\w+://\S+|\b(?=\w*\d)[\w.:+-]+")


@dataclass(frozen=True, slots=True)
class Fold:
    """Records that become one. `removed` are then no longer needed, those that were made from others first; a habit
    leaves what it was seen in."""

    tenant: str
    rule: str
    into: Record
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`left` are records that an earlier consolidation folded, and was killed before it had removed them; `withdrawn`
    are habits that were broken since."""

    folds: tuple[Fold, ...] = ()
    left: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    """An observation, or an episode that earlier ones were folded into, as the rules see it."""

    record: Record
    attributes: dict[str, Any]

    @property
    def moment(self) -> datetime:
        return self.record.created_at.ToDatetime(tzinfo=UTC)

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(sorted(self.record.subjects))


# By whom it is about, tool and argument: what was seen of each value.
_Uses = dict[tuple[tuple[str, ...], str, str], dict[str, list[_Told]]]


def plan(tenant: str, records: Iterable[Record], now: datetime) -> Plan:
    """What to do with a tenant's records; records of kinds that do not fold only expire.

    The same records give the same plan, and what a plan makes has an id that follows from what it was made from: a
    consolidation that was killed is simply done again.
    """
    expired: list[str] = []
    seen: list[_Told] = []
    preferences: list[_Told] = []
    for record in records:
        if is_expired(record, now):
            expired.append(record.id)
        elif record.kind == KIND_PREFERENCE:
            preferences.append(_Told(record, json.loads(record.attributes_json or "{}")))
        elif _is_settled(record, now):
            seen.append(_Told(record, json.loads(record.attributes_json or "{}")))
    seen.sort(key=lambda told: (told.moment, told.record.id))
    folded = [told for told in seen if told.attributes.get("folded") == REPEATED]
    left = _left(seen, folded)
    folded = [told for told in folded if told.record.id not in left]
    observed = [
        told
        for told in seen
        if told.record.kind == KIND_OBSERVATION and told.attributes.get("tool") and told.record.id not in left
    ]
    uses = _uses(observed)
    # What a person said is not outvoted by what was done.
    said = {(s, p.record.topic) for p in preferences if p.record.trust == TRUST_PERSON for s in p.record.subjects}
    habits = (
        fold
        for fold in _habits(tenant, uses)
        if said.isdisjoint((subject, fold.into.topic) for subject in fold.into.subjects)
    )
    return Plan(
        (*_repeated(tenant, observed, folded), *habits),
        tuple(sorted(left)),
        tuple(sorted(told.record.id for told in preferences if _is_broken(told, uses))),
        tuple(sorted(expired)),
    )


def is_expired(record: Record, now: datetime) -> bool:
    return record.HasField("expires_at") and record.expires_at.ToDatetime(tzinfo=UTC) <= now


def matters(record: Record, now: datetime) -> bool:
    """Whether a plan would be another one without this record, as far as that can be seen by itself."""
    if record.kind == KIND_PREFERENCE or is_expired(record, now):
        return True
    attributes = json.loads(record.attributes_json or "{}")
    folds = record.kind == KIND_OBSERVATION and bool(attributes.get("tool"))
    return _is_settled(record, now) and (folds or attributes.get("folded") == REPEATED)


def _is_settled(record: Record, now: datetime) -> bool:
    return now - record.created_at.ToDatetime(tzinfo=UTC) >= SETTLED_AFTER


def _left(seen: Sequence[_Told], folded: Sequence[_Told]) -> set[str]:
    """Observations that a standing record was made from, and records whose sources another one has all, and more."""
    sources = {told.record.id: set(told.record.provenance.folded_from) for told in folded}
    left = {told.record.id for told in seen} & set().union(*sources.values())
    for one in folded:
        mine = sources[one.record.id]
        if any(mine < others for other, others in sources.items() if other != one.record.id):
            left.add(one.record.id)
    return left


def shape(record: Record) -> str:
    """The text without what varies: two observations of one shape say the same."""
    text = normal(record.text)
    for subject in record.subjects:
        text = text.replace(normal(subject), "…")
    return _VARYING.sub("…", text)


def _repeated(tenant: str, observed: Sequence[_Told], folded: Sequence[_Told]) -> Iterator[Fold]:
    groups: dict[str, list[_Told]] = defaultdict(list)
    for told in observed:
        groups[_key(told)].append(told)
    earlier: dict[str, list[_Told]] = defaultdict(list)
    for told in folded:
        earlier[str(told.attributes["shape"])].append(told)
    for key, group in groups.items():
        # What was folded before takes in what came since, as long as it can name all it was made from.
        base = next((one for one in earlier[key] if _names(one) < MOST_FOLDED), None)
        if base is not None or len(group) >= FEWEST:
            yield from _folds(tenant, key, base, group)


def _folds(tenant: str, key: str, base: _Told | None, group: Sequence[_Told]) -> Iterator[Fold]:
    rest = list(group)
    while rest and (base is not None or len(rest) >= FEWEST):
        taken = _fitting(base, rest)
        rest = rest[len(taken) :]
        if not taken or (base is None and len(taken) < FEWEST):
            return
        into = _episode(tenant, key, base, taken)
        removed = ([base.record.id] if base is not None else []) + [told.record.id for told in taken]
        yield Fold(tenant, REPEATED, into, tuple(removed))
        base = None


def _fitting(base: _Told | None, rest: Sequence[_Told]) -> list[_Told]:
    """As many of the oldest as one record can name."""
    named = list(base.record.provenance.folded_from) if base is not None else []
    characters = MOST_FOLDED_CHARACTERS - sum(map(len, named))
    taken: list[_Told] = []
    for told in rest[: MOST_FOLDED - len(named)]:
        characters -= len(told.record.id)
        if characters < 0:
            break
        taken.append(told)
    return taken


def _names(told: _Told) -> int:
    return len(told.record.provenance.folded_from)


def _key(told: _Told) -> str:
    # Of other people it tells another thing: nobody's data may come to stand in, or go with, somebody else's.
    kept = (told.attributes["tool"], told.attributes.get("error", ""), told.subjects, shape(told.record))
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:32]


def _episode(tenant: str, key: str, base: _Told | None, group: Sequence[_Told]) -> Record:
    last = group[-1]
    before = base.attributes if base is not None else {}
    first = before.get("first") or group[0].moment.isoformat()
    count = int(before.get("count", 0)) + len(group)
    tool, error = last.attributes["tool"], last.attributes.get("error", "")
    did = f"failed ({error})" if error else "did the same"
    ids = sorted({told.record.id for told in group} | set(base.record.provenance.folded_from if base else ()))
    text = (
        f"{tool} {did} {count} times between {datetime.fromisoformat(first):%Y-%m-%d %H:%M} and"
        f" {last.moment:%Y-%m-%d %H:%M} UTC. The last time: {last.record.text}"
    )
    record = Record(
        id=derived_id(tenant, REPEATED, *ids),
        kind=KIND_EPISODE,
        text=cut(text),
        created_at=last.record.created_at,
        subjects=last.subjects,
        trust=TRUST_SYSTEM,
        importance=max(told.record.importance for told in group),
        attributes_json=json.dumps(
            {
                "folded": REPEATED,
                "shape": key,
                "tool": tool,
                "error": error,
                "count": count,
                "first": first,
                "last": last.moment.isoformat(),
            },
            ensure_ascii=False,
        ),
    )
    record.provenance.folded_from.extend(ids)
    return record


def _uses(observed: Sequence[_Told]) -> _Uses:
    uses: _Uses = defaultdict(lambda: defaultdict(list))
    for told in observed:
        if told.attributes.get("error") or not told.subjects:
            continue
        for name, value in (told.attributes.get("arguments") or {}).items():
            uses[told.subjects, str(told.attributes["tool"]), name][str(value)].append(told)
    return uses


def _habits(tenant: str, uses: _Uses) -> Iterator[Fold]:
    """One argument of one tool, for one person, always the same."""
    for (subjects, tool, name), values in uses.items():
        if len(values) != 1:
            continue
        ((value, seen),) = values.items()
        if len({told.record.run_id for told in seen}) >= FEWEST and _is_choice(value, subjects):
            yield Fold(tenant, HABIT, _preference(tenant, subjects, tool, name, value, seen[-MOST_FOLDED:]), ())


def _is_broken(preference: _Told, uses: _Uses) -> bool:
    made = preference.attributes
    if made.get("folded") != HABIT:
        return False
    values = uses.get((preference.subjects, made["tool"], made["argument"]), {})
    return any(value != made["value"] for value in values)


def _is_choice(value: str, subjects: tuple[str, ...]) -> bool:
    """Not who it is about: that is the same in every call by nature."""
    said = normal(value)
    return bool(said) and not any(said in subject or subject in said for subject in subjects)


def _preference(
    tenant: str, subjects: tuple[str, ...], tool: str, name: str, value: str, seen: Sequence[_Told]
) -> Record:
    topic = normal(f"{tool} {name}")
    record = Record(
        id=derived_id(tenant, HABIT, *subjects, topic, value),
        kind=KIND_PREFERENCE,
        text=f"{tool} for {subjects[0]}: {name} is {value} ({len(seen)} times, never another).",
        created_at=seen[-1].record.created_at,
        subjects=subjects,
        topic=topic,
        trust=TRUST_SYSTEM,
        attributes_json=json.dumps(
            {"folded": HABIT, "tool": tool, "argument": name, "value": value, "count": len(seen)}, ensure_ascii=False
        ),
    )
    record.provenance.folded_from.extend(told.record.id for told in seen)
    return record
