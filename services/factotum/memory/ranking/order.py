"""The order of an answer, and why each record stands where it does. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from factotum.memory.ranking import weights
from factotum.memory.ranking.found import EPISODE, Found
from factotum.memory.ranking.neighbourhood import Gain, gains
from factotum.memory.ranking.speakers import named
from factotum.memory.store.port import Candidate

# Sequences, each with one who speaks there.
Speakers = frozenset[tuple[str, str]]

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
    speaker: float = 0.0
    asking: float = 0.0
    neighbour_of: str = ""
    duplicates: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.found.candidate.id

    @property
    def score(self) -> float:
        return self.found.relevance + self.recency + self.importance + self.neighbourhood + self.speaker + self.asking


def ordered(found: Sequence[Found], question: str, now: datetime, most: int | None = None) -> list[Ranked]:
    """Best first, each once, those with the same content folded into the best of them; the first `most`, if given.

    What is far from the question is left out, but for what stands beside something that is not. Of two with the same
    score an episode comes first, then the newer.
    """
    gained, asked_of = gains(found), named(question, found)
    places = [
        _place(index, each, gained, asked_of, now)
        for index, each in enumerate(found)
        if not each.far or gained.get(each.candidate.id, _NO_GAIN).amount > 0
    ]
    places.sort()
    kept = _folded([found[index] for *_, index in places])
    return [_ranked(each, gained, asked_of, now, duplicates) for each, duplicates in kept[:most]]


def _place(
    index: int, found: Found, gained: Mapping[str, Gain], asked_of: Speakers, now: datetime
) -> tuple[float, bool, timedelta, str, int]:
    """What is less comes first. Of hundreds only a few are answered: no more is made of each than it takes to sort."""
    candidate = found.candidate
    score = (
        found.relevance
        + _recency(candidate, now)
        + weights.IMPORTANCE * candidate.importance
        + gained.get(candidate.id, _NO_GAIN).amount
        + _speaker(candidate, asked_of)
    )
    return -score, candidate.kind != EPISODE, now - candidate.created_at, candidate.id, index


def _ranked(
    found: Found, gained: Mapping[str, Gain], asked_of: Speakers, now: datetime, duplicates: Sequence[str]
) -> Ranked:
    gain = gained.get(found.candidate.id, _NO_GAIN)
    return Ranked(
        found,
        recency=_recency(found.candidate, now),
        importance=weights.IMPORTANCE * found.candidate.importance,
        neighbourhood=gain.amount,
        speaker=_speaker(found.candidate, asked_of),
        neighbour_of=gain.most_from if gain.amount > found.relevance else "",
        duplicates=tuple(duplicates),
    )


def _recency(candidate: Candidate, now: datetime) -> float:
    half_lives = (now - candidate.created_at) / _HALF_LIFE
    return float(weights.RECENCY * 0.5 ** max(half_lives, 0.0))


def _speaker(candidate: Candidate, asked_of: Speakers) -> float:
    return weights.SPEAKER if (candidate.sequence, candidate.speaker) in asked_of else 0.0


def _folded(found: Sequence[Found]) -> list[tuple[Found, Sequence[str]]]:
    """Each with the ids of those that it stands for.

    What somebody said is an event of its own, however often it was said; all else is told by telling it once.
    """
    first: dict[object, list[str]] = {}
    kept: list[tuple[Found, Sequence[str]]] = []
    for each in found:
        candidate = each.candidate
        if candidate.speaker or not candidate.content_sha256:
            kept.append((each, ()))
            continue
        content = (candidate.kind, candidate.content_sha256)
        if (duplicates := first.get(content)) is None:
            first[content] = duplicates = []
            kept.append((each, duplicates))
        else:
            duplicates.append(candidate.id)
    return kept
