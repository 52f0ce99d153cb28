"""How often somebody chose what for the arguments of a tool, kept when the observations themselves are folded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from factotum.memory.records import derived_id
from factotum.memory.told import FEWEST, REPEATED, Told

# Arguments of one tool in one record. With more, nothing of them is kept: half a tally would say what is not so.
MOST_NAMES = 32
_RUN_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """The one value that an argument ever had.

    Args:
        times: observations.
        runs: marks of the runs that it had it in, `FEWEST` at most: more make no difference.
    """

    value: str
    times: int
    first: datetime
    last: datetime
    runs: frozenset[str]


# By argument; None: it had several values, which no later call can mend.
Tally = Mapping[str, Choice | None]


def tally_of(one: Told) -> Tally | None:
    """Of what it tells of, without calls that failed; None: it is not known."""
    if one.error:
        return {}
    if one.folded == REPEATED:
        return _read(one.values.get("choices"))
    runs = frozenset({derived_id(one.record.run_id)[:_RUN_CHARACTERS]})
    return {name: Choice(value, 1, one.moment, one.moment, runs) for name, value in one.arguments.items()}


def summed(tallies: Iterable[Tally | None]) -> Tally | None:
    """None if one of them is."""
    total: dict[str, Choice | None] = {}
    for tally in tallies:
        if tally is None:
            return None
        for name, choice in tally.items():
            total[name] = _both(total[name], choice) if name in total else choice
    return total


def written(tally: Tally | None) -> Any:
    """As JSON has it, for `tally_of`."""
    if tally is None or len(tally) > MOST_NAMES:
        return None
    return {
        name: choice
        and {
            "value": choice.value,
            "times": choice.times,
            "first": choice.first.isoformat(),
            "last": choice.last.isoformat(),
            "runs": sorted(choice.runs),
        }
        for name, choice in tally.items()
    }


def _read(value: Any) -> Tally | None:
    """None for what is of an older release, or not of this form."""
    try:
        return {name: choice and _choice(choice) for name, choice in value.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _choice(value: Any) -> Choice:
    return Choice(
        str(value["value"]),
        int(value["times"]),
        datetime.fromisoformat(value["first"]).astimezone(UTC),
        datetime.fromisoformat(value["last"]).astimezone(UTC),
        frozenset(map(str, value["runs"])),
    )


def _both(one: Choice | None, other: Choice | None) -> Choice | None:
    if one is None or other is None or one.value != other.value:
        return None
    runs = frozenset(sorted(one.runs | other.runs)[:FEWEST])
    return Choice(one.value, one.times + other.times, min(one.first, other.first), max(one.last, other.last), runs)
