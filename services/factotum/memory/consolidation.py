"""What of the kept observations can be told in fewer words: the plan of a consolidation. Pure.

Two rules. *Repeated* (`repeats`): at least `FEWEST` observations of one tool that are about the same and say the same,
apart from numbers and times, become one episode that tells how often and when. *Habit* (`habits`): a subject for whom
one argument of one tool had the same value in at least `FEWEST` runs, and never another, gets a preference, which goes
when it is broken. What only a few times happened, and what happened in the last `SETTLED_AFTER`, is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from factotum.api.memory.v1.memory_pb2 import KIND_OBSERVATION, KIND_PREFERENCE, TRUST_PERSON, Record
from factotum.memory.habits import habits, is_broken, uses_of
from factotum.memory.repeats import Fold, left, repeated
from factotum.memory.told import HABIT, REPEATED, Told, told

# The kinds that the rules look at; of others only what has expired goes.
LOOKED_AT = ("observation", "episode", "preference")
SETTLED_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """`left` are records that an earlier consolidation folded, and was killed before it had removed them; `withdrawn`
    are habits that were broken since."""

    folds: tuple[Fold, ...] = ()
    left: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()


def plan(tenant: str, records: Iterable[Record], now: datetime) -> Plan:
    """What to do with a tenant's records; records of kinds that do not fold only expire.

    The same records give the same plan, and what a plan makes has an id that follows from what it was made from: a
    consolidation that was killed is simply done again.
    """
    expired: list[str] = []
    seen: list[Told] = []
    preferences: list[Told] = []
    for record in records:
        if is_expired(record, now):
            expired.append(record.id)
        elif record.kind == KIND_PREFERENCE:
            preferences.append(told(tenant, record))
        elif _is_settled(record, now):
            seen.append(told(tenant, record))
    seen.sort(key=lambda one: (one.moment, one.record.id))
    folded = [one for one in seen if one.folded == REPEATED]
    gone = left([one for one in seen if one.record.kind == KIND_OBSERVATION], folded)
    folded = [one for one in folded if one.record.id not in gone]
    observed = [one for one in seen if _is_observed(one) and one.record.id not in gone]
    uses = uses_of([*folded, *observed])
    standing = [one for one in preferences if one.folded == HABIT]
    # What a person said is not outvoted by what was done.
    said = {(s, p.record.topic) for p in preferences if p.record.trust == TRUST_PERSON for s in p.record.subjects}
    formed = (
        fold
        for fold in habits(tenant, uses, standing)
        if said.isdisjoint((subject, fold.into.topic) for subject in fold.into.subjects)
    )
    return Plan(
        (*repeated(tenant, observed, folded), *formed),
        tuple(sorted(gone)),
        tuple(sorted(one.record.id for one in standing if is_broken(one, uses))),
        tuple(sorted(expired)),
    )


def is_expired(record: Record, now: datetime) -> bool:
    return record.HasField("expires_at") and record.expires_at.ToDatetime(tzinfo=UTC) <= now


def matters(tenant: str, record: Record, now: datetime) -> bool:
    """Whether a plan would be another one without this record, as far as that can be seen by itself."""
    if record.kind == KIND_PREFERENCE or is_expired(record, now):
        return True
    if not _is_settled(record, now):
        return False
    one = told(tenant, record)
    return _is_observed(one) or one.folded == REPEATED


def _is_observed(one: Told) -> bool:
    return one.record.kind == KIND_OBSERVATION and bool(one.tool)


def _is_settled(record: Record, now: datetime) -> bool:
    return now - record.created_at.ToDatetime(tzinfo=UTC) >= SETTLED_AFTER
