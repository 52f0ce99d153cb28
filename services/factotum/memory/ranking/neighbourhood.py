"""What a record gains from those beside it in its sequence. Pure.

Who answers "yes, last Tuesday, with my sister" repeats no word of the question; what was asked just before does. And
where several records of one sequence are relevant, the others there are likelier to be, too.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from factotum.memory.ranking import weights
from factotum.memory.ranking.found import Found
from factotum.memory.ranking.versions import versioned
from factotum.memory.store.port import Stretch

# How much of what a record gives to its next one it gives to one at this distance.
_SHARES = {
    step: math.exp(-(abs(step) - 1) / weights.REACH) for step in range(-weights.FARTHEST, weights.FARTHEST + 1) if step
}


@dataclass(frozen=True, slots=True)
class Gain:
    """What a record gains in all, and the id of the one beside it that gave it most; "" where none gave anything."""

    amount: float = 0.0
    most_from: str = ""


def gains(found: Sequence[Found]) -> dict[str, Gain]:
    """By the record's id; records without a sequence are left out."""
    sequences: dict[str, list[Found]] = defaultdict(list)
    for each in found:
        if each.candidate.sequence:
            sequences[each.candidate.sequence].append(each)
    return {identity: gain for members in sequences.values() for identity, gain in _gains(members)}


def unseen(best: Sequence[Found], found: Sequence[Found]) -> list[Stretch]:
    """Where the neighbours of the best are that no search found, and what may be a newer version of the best."""
    known = {(each.candidate.sequence, each.candidate.position) for each in found}
    wanted = {
        (each.candidate.sequence, each.candidate.position + step)
        for each in best
        if each.candidate.sequence
        for step in range(-weights.LOOKED_UP_DISTANCE, weights.LOOKED_UP_DISTANCE + 1)
    }
    places = {(each.candidate.sequence, each.candidate.position) for each in best if versioned(each.candidate)}
    stretches: list[Stretch] = []
    for sequence, position in sorted((wanted - known) | places):
        if stretches and stretches[-1].sequence == sequence and stretches[-1].last == position - 1:
            stretches[-1] = Stretch(sequence, stretches[-1].first, position)
        else:
            stretches.append(Stretch(sequence, position, position))
    return stretches


def _gains(members: Sequence[Found]) -> Iterable[tuple[str, Gain]]:
    if len(members) == 1:
        # As in most sequences of a large memory.
        (alone,) = members
        yield alone.candidate.id, Gain(weights.SEQUENCE * alone.relevance / weights.BEST_OF_SEQUENCE)
        return
    best = heapq.nlargest(weights.BEST_OF_SEQUENCE, (each.relevance for each in members))
    of_all = weights.SEQUENCE * math.fsum(best) / weights.BEST_OF_SEQUENCE
    at: dict[int, Found] = {}
    for each in members:
        there = at.setdefault(each.candidate.position, each)
        if each.relevance > there.relevance:
            at[each.candidate.position] = each
    for each in members:
        amount, most, most_from = of_all, 0.0, ""
        given = weights.NEIGHBOUR if each.candidate.speaker else weights.NEIGHBOUR_UNSPOKEN
        for step, share in _SHARES.items():
            if (beside := at.get(each.candidate.position + step)) is None:
                continue
            part = given * share * beside.relevance
            amount += part
            if part > most:
                most, most_from = part, beside.candidate.id
        yield each.candidate.id, Gain(amount, most_from)
