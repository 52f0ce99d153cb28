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
    """A candidate and where it stands. Ranks begin at 1; 0: not in that list. `relevance` is at least 0.

    `far`: it has no word of the question and its meaning is another; its relevance is 0.
    """

    candidate: Candidate
    meaning_rank: int = 0
    meaning_score: float = 0.0
    words_rank: int = 0
    words_score: float = 0.0
    relevance: float = 0.0
    far: bool = False


def merged(by_meaning: Sequence[Candidate], by_words: Sequence[Candidate]) -> list[Found]:
    """Each candidate once, in no order that matters.

    An episode is as relevant in a list as the best observation of its run there: what a part answers, the whole
    answers too, and tells the rest.
    """
    candidates = {each.id: each for ranking in (by_meaning, by_words) for each in ranking}
    # A list by words ends where no word is in common: had it gone on, the rest would have 0.
    longest = max(len(by_meaning), len(by_words))
    near = _lifted(heights([each.score for each in by_meaning], weights.LEAST_OF_MEANING), by_meaning, candidates)
    padded = [each.score for each in by_words] + [0.0] * (longest - len(by_words))
    worded = heights(padded, weights.LEAST_OF_WORDS)
    in_words = _lifted(worded[: len(by_words)], by_words, candidates)
    meaning_places = {each.id: (rank, each.score) for rank, each in enumerate(by_meaning, start=1)}
    words_places = {each.id: (rank, each.score) for rank, each in enumerate(by_words, start=1)}
    nowhere = (0, 0.0)
    far = _far(meaning_places, words_places, candidates)
    return [
        Found(
            candidate,
            *meaning_places.get(identity, nowhere),
            *words_places.get(identity, nowhere),
            0.0 if identity in far else _relevance(near.get(identity, 0.0), in_words.get(identity, 0.0)),
            identity in far,
        )
        for identity, candidate in candidates.items()
    ]


def heights(scores: Sequence[float], least: float = 0.0) -> list[float]:
    """How far each score of a list stands above its last, in standard deviations of the list; scaled by `DEVIATIONS`.

    A deviation counts as at least `least`: what lies close together in a short list differs by little, and not by the
    whole of the list. All are 0 where all scores are the same. Cosines and BM25 scores become comparable by it, for
    each question anew.
    """
    if not scores:
        return []
    mean, lowest = math.fsum(scores) / len(scores), min(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
    if deviation <= 1e-9 * max(abs(mean), 1.0):
        return [0.0 if len(scores) > 1 else 1.0] * len(scores)
    return [(score - lowest) / max(deviation, least) / weights.DEVIATIONS for score in scores]


def _relevance(near: float, worded: float) -> float:
    both = weights.MEANING * near + (1 - weights.MEANING) * worded
    return float(both**weights.SHARPNESS)


def _far(
    meaning: Mapping[str, tuple[int, float]],
    words: Mapping[str, tuple[int, float]],
    candidates: Mapping[str, Candidate],
) -> set[str]:
    """Those that answer nothing, but for episodes of whose run an observation may answer something."""
    far = {identity for identity, (_, cosine) in meaning.items() if cosine < weights.FAR and identity not in words}
    answering = {each.run_id for identity, each in candidates.items() if identity not in far and each.run_id}
    return {
        identity
        for identity in far
        if candidates[identity].kind != EPISODE or candidates[identity].run_id not in answering
    }


def _lifted(
    heights_: Sequence[float], ranking: Sequence[Candidate], candidates: Mapping[str, Candidate]
) -> dict[str, float]:
    result = {each.id: height for each, height in zip(ranking, heights_, strict=True)}
    episodes = {each.run_id: each.id for each in candidates.values() if each.kind == EPISODE and each.run_id}
    for each, height in zip(ranking, heights_, strict=True):
        if (episode := episodes.get(each.run_id)) is not None:
            result[episode] = max(result.get(episode, 0.0), height)
    return result
