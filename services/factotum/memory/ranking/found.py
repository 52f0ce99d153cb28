"""What two searches found, brought together: each record once, with its place in both lists. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from factotum.memory.ranking import weights
from factotum.memory.store.port import Candidate

EPISODE = "episode"


# Not frozen, for the same reason as a candidate.
@dataclass(slots=True)
class Found:
    """A candidate and where it stands. Ranks begin at 1; 0: not in that list. `relevance` is at least 0."""

    candidate: Candidate
    meaning_rank: int = 0
    meaning_score: float = 0.0
    words_rank: int = 0
    words_score: float = 0.0
    relevance: float = 0.0


def merged(by_meaning: Sequence[Candidate], by_words: Sequence[Candidate]) -> list[Found]:
    """Each candidate once, in no order that matters.

    An episode is as relevant in a list as the best observation of its run there: what a part answers, the whole
    answers too, and tells the rest.
    """
    candidates = {each.id: each for ranking in (by_meaning, by_words) for each in ranking}
    # A list by words ends where no word is in common: had it gone on, the rest would have 0.
    longest = max(len(by_meaning), len(by_words))
    near = _lifted(heights([each.score for each in by_meaning]), by_meaning, candidates)
    worded = heights([each.score for each in by_words] + [0.0] * (longest - len(by_words)))
    in_words = _lifted(worded[: len(by_words)], by_words, candidates)
    meaning_places = {each.id: (rank, each.score) for rank, each in enumerate(by_meaning, start=1)}
    words_places = {each.id: (rank, each.score) for rank, each in enumerate(by_words, start=1)}
    nowhere = (0, 0.0)
    return [
        Found(
            candidate,
            *meaning_places.get(identity, nowhere),
            *words_places.get(identity, nowhere),
            _relevance(near.get(identity, 0.0), in_words.get(identity, 0.0)),
        )
        for identity, candidate in candidates.items()
    ]


def heights(scores: Sequence[float]) -> list[float]:
    """How far each score of a list stands above its last, in standard deviations of the list; scaled by `DEVIATIONS`.

    All are 0 where all scores are the same. Cosines and BM25 scores become comparable by it, for each question anew.
    """
    if not scores:
        return []
    mean, lowest = math.fsum(scores) / len(scores), min(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
    if deviation <= 1e-9 * max(abs(mean), 1.0):
        return [0.0 if len(scores) > 1 else 1.0] * len(scores)
    return [(score - lowest) / deviation / weights.DEVIATIONS for score in scores]


def _relevance(near: float, worded: float) -> float:
    both = weights.MEANING * near + (1 - weights.MEANING) * worded
    return float(both**weights.SHARPNESS)


def _lifted(
    heights_: Sequence[float], ranking: Sequence[Candidate], candidates: Mapping[str, Candidate]
) -> dict[str, float]:
    result = {each.id: height for each, height in zip(ranking, heights_, strict=True)}
    episodes = {each.run_id: each.id for each in candidates.values() if each.kind == EPISODE and each.run_id}
    for each, height in zip(ranking, heights_, strict=True):
        if (episode := episodes.get(each.run_id)) is not None:
            result[episode] = max(result.get(episode, 0.0), height)
    return result
