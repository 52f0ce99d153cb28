"""The order of an answer, and why each record stands where it does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from factotum.memory.ranking import weights
from factotum.memory.ranking.found import EPISODE, Found
from factotum.memory.ranking.neighbourhood import Gain, gains

_NO_GAIN = Gain()
_HALF_LIFE = timedelta(days=weights.RECENCY_HALF_LIFE_DAYS)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A record's place in the answer: the parts of its score, and which others stand for it or it for them.

    `neighbour_of` is the id of the record beside it that it owes more to than to itself, else "".
    """

    found: Found
    recency: float
    importance: float
    neighbourhood: float
    neighbour_of: str = ""
    duplicates: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.found.candidate.id

    @property
    def score(self) -> float:
        return self.found.relevance + self.recency + self.importance + self.neighbourhood


def ordered(found: Sequence[Found], now: datetime) -> list[Ranked]:
    """Best first, each once, those with the same content folded into the best of them.

    Of two with the same score an episode comes first, then the newer.
    """
    gained = gains(found)
    ranked = [_ranked(each, gained.get(each.candidate.id, _NO_GAIN), now) for each in found]
    return _folded(sorted(ranked, key=_order))


def _ranked(found: Found, gain: Gain, now: datetime) -> Ranked:
    candidate = found.candidate
    half_lives = (now - candidate.created_at) / _HALF_LIFE
    return Ranked(
        found,
        recency=weights.RECENCY * 0.5 ** max(half_lives, 0.0),
        importance=weights.IMPORTANCE * candidate.importance,
        neighbourhood=gain.amount,
        neighbour_of=gain.most_from if gain.amount > found.relevance else "",
    )


def _order(each: Ranked) -> tuple[float, bool, float, str]:
    candidate = each.found.candidate
    return -each.score, candidate.kind != EPISODE, -candidate.created_at.timestamp(), candidate.id


def _folded(ranked: Sequence[Ranked]) -> list[Ranked]:
    """What somebody said is an event of its own, however often it was said; all else is told by telling it once."""
    first: dict[object, int] = {}
    duplicates: dict[int, list[str]] = {}
    kept: list[Ranked] = []
    for each in ranked:
        candidate = each.found.candidate
        content = (candidate.kind, candidate.content_sha256)
        if candidate.speaker or not candidate.content_sha256:
            kept.append(each)
        elif (index := first.setdefault(content, len(kept))) < len(kept):
            duplicates.setdefault(index, []).append(each.id)
        else:
            kept.append(each)
    return [
        replace(each, duplicates=tuple(duplicates[index])) if index in duplicates else each
        for index, each in enumerate(kept)
    ]
