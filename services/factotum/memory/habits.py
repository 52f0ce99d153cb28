"""An argument of a tool that is the same for somebody in run after run becomes a preference. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from factotum.api.memory.v1.memory_pb2 import KIND_PREFERENCE, TRUST_SYSTEM, Record
from factotum.memory.records import normal
from factotum.memory.repeats import FEWEST, Fold, fitting
from factotum.memory.told import HABIT, Told, habit_id, topic_of

# By whom it is about, tool and argument: what was seen of each value.
Uses = dict[tuple[tuple[str, ...], str, str], dict[str, list[Told]]]


def uses_of(observed: Sequence[Told]) -> Uses:
    uses: Uses = defaultdict(lambda: defaultdict(list))
    for told in observed:
        if told.error or not told.subjects:
            continue
        for name, value in told.arguments.items():
            uses[told.subjects, told.tool, name][value].append(told)
    return uses


def habits(tenant: str, uses: Uses) -> Iterator[Fold]:
    """One argument of one tool, for one person, always the same."""
    for (subjects, tool, name), values in uses.items():
        if len(values) != 1:
            continue
        ((value, seen),) = values.items()
        if len({told.record.run_id for told in seen}) >= FEWEST and _is_choice(value, subjects):
            yield Fold(tenant, HABIT, _preference(tenant, subjects, tool, name, value, seen), ())


def is_broken(habit: Told, uses: Uses) -> bool:
    values = uses.get((habit.subjects, habit.text_of("tool"), habit.text_of("argument")), {})
    return any(value != habit.text_of("value") for value in values)


def _is_choice(value: str, subjects: tuple[str, ...]) -> bool:
    """Not who it is about: that is the same in every call by nature."""
    said = normal(value)
    return bool(said) and not any(said in subject or subject in said for subject in subjects)


def _preference(
    tenant: str, subjects: tuple[str, ...], tool: str, name: str, value: str, seen: Sequence[Told]
) -> Record:
    topic = topic_of(tool, name)
    record = Record(
        id=habit_id(tenant, subjects, topic, value),
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
    newest = [told.record.id for told in reversed(seen)]
    record.provenance.folded_from.extend(reversed(newest[: fitting((), newest)]))
    return record
