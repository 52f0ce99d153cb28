"""An argument of a tool that is the same for somebody in run after run becomes a preference. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from factotum.api.memory.v1.memory_pb2 import KIND_PREFERENCE, TRUST_SYSTEM, Record
from factotum.memory.records import normal
from factotum.memory.repeats import Fold, fitting
from factotum.memory.tally import Choice, Tally, summed, tally_of
from factotum.memory.told import FEWEST, HABIT, REPEATED, Told, habit_id, topic_of


@dataclass(slots=True)
class _Use:
    """What is known of one tool and those whom it was called for; `is_whole` if that is all that ever was."""

    parts: list[tuple[Told, Tally]] = field(default_factory=list)
    is_whole: bool = True


Uses = Mapping[tuple[tuple[str, ...], str], _Use]


def uses_of(seen: Sequence[Told]) -> Uses:
    """Args:
    seen: observations, and what earlier ones were folded into, the oldest first.
    """
    uses: dict[tuple[tuple[str, ...], str], _Use] = defaultdict(_Use)
    for one in seen:
        if not one.subjects:
            continue
        use, tally = uses[one.subjects, one.tool], tally_of(one)
        if tally is None:
            use.is_whole = False
        else:
            use.parts.append((one, tally))
    return uses


def habits(tenant: str, uses: Uses, standing: Sequence[Told]) -> Iterator[Fold]:
    """One argument of one tool, for one person, always the same, where the preference that says so does not stand yet.

    Args:
        standing: the habits that stand: they go on counting.
    """
    known = {habit.record.id: habit for habit in standing}
    for (subjects, tool), use in uses.items():
        total = summed(tally for _, tally in use.parts) if use.is_whole else None
        for name, choice in (total or {}).items():
            if choice is None or not _is_choice(choice.value, subjects):
                continue
            habit = known.get(habit_id(tenant, subjects, topic_of(tool, name), choice.value))
            if habit is None and len(choice.runs) < FEWEST:
                continue
            seen = [one for one, tally in use.parts if name in tally]
            into = _preference(tenant, subjects, tool, name, choice, seen, habit)
            if habit is None or not _says_the_same(into, habit.record):
                yield Fold(tenant, HABIT, into, ())


def is_broken(habit: Told, uses: Uses) -> bool:
    use = uses.get((habit.subjects, habit.text_of("tool")))
    name, value = habit.text_of("argument"), habit.text_of("value")
    chosen = [tally[name] for _, tally in (use.parts if use is not None else ()) if name in tally]
    return any(choice is None or choice.value != value for choice in chosen)


def _is_choice(value: str, subjects: tuple[str, ...]) -> bool:
    """Not who it is about: that is the same in every call by nature."""
    said = normal(value)
    return bool(said) and not any(said in subject or subject in said for subject in subjects)


def _preference(
    tenant: str,
    subjects: tuple[str, ...],
    tool: str,
    name: str,
    choice: Choice,
    seen: Sequence[Told],
    habit: Told | None,
) -> Record:
    topic = topic_of(tool, name)
    sources = dict.fromkeys(
        identity for one in seen for identity in (one.sources if one.folded == REPEATED else (one.record.id,))
    )
    times, first, last = choice.times, choice.first, choice.last
    if habit is not None:
        # What it was seen in may have expired since: then it alone knows.
        times = max(times, habit.count + sum(_is_new(one, habit) for one in seen))
        first, last = min(first, habit.first), max(last, habit.moment)
        sources = dict.fromkeys((*habit.sources, *sources))
    record = Record(
        id=habit_id(tenant, subjects, topic, choice.value),
        kind=KIND_PREFERENCE,
        text=(
            f"{tool} for {subjects[0]}: {name} is {choice.value} ({times} times between {first:%Y-%m-%d} and"
            f" {last:%Y-%m-%d}, never another)."
        ),
        subjects=subjects,
        topic=topic,
        trust=TRUST_SYSTEM,
        attributes_json=json.dumps(
            {
                "folded": HABIT,
                "tool": tool,
                "argument": name,
                "value": choice.value,
                "count": times,
                "first": first.isoformat(),
                "last": last.isoformat(),
            },
            ensure_ascii=False,
        ),
    )
    record.created_at.FromDatetime(last)
    newest = list(reversed(sources))
    record.provenance.folded_from.extend(reversed(newest[: fitting((), newest)]))
    return record


def _is_new(one: Told, habit: Told) -> bool:
    """Whether the habit does not count it yet. Once it can name no more, what is later is new."""
    if one.folded == REPEATED or one.record.id in habit.sources:
        return False
    return bool(fitting(habit.sources, [one.record.id])) or one.moment > habit.moment


def _says_the_same(into: Record, standing: Record) -> bool:
    return into.text == standing.text and set(into.provenance.folded_from) == set(standing.provenance.folded_from)
