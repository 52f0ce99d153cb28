"""The parts of a task that asks for several things. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from factotum.memory.ranking import weights
from factotum.memory.ranking.found import Found

_BREAK: Final = re.compile(
    r"(?<=[.!?;])\s+|\n+"
    r"|,\s+(?=(?:and|then|also|after|finally|please)\b)"
    r"|\b(?:and then|after that|afterwards|as well as|and also)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"\w+")


def parts(question: str) -> list[str]:
    """Sentences and clauses of at least `PART_WORDS` words, the longest `PARTS` of them; none where it is but one."""
    found = [part.strip() for part in _BREAK.split(question)]
    found = [part for part in dict.fromkeys(found) if len(_WORD.findall(part)) >= weights.PART_WORDS]
    longest = sorted(found, key=len, reverse=True)[: weights.PARTS]
    return [part for part in found if part in longest] if len(found) > 1 else []


def joined(whole: Sequence[Found], of_parts: Iterable[Sequence[Found]]) -> list[Found]:
    """What answers one part well stands beside what answers the whole: a record has the relevance of both, added."""
    found = {each.candidate.id: each for each in whole}
    best: dict[str, Found] = {}
    for part in of_parts:
        for each in part:
            identity = each.candidate.id
            other = best.get(identity)
            # What a part answers may still stand last in its list, with no relevance.
            if other is None or (each.relevance, not each.far) > (other.relevance, not other.far):
                best[identity] = each
    for identity, each in best.items():
        known = found.get(identity)
        if known is not None:
            each = replace(known, relevance=known.relevance + each.relevance, far=known.far and each.far)
        found[identity] = each
    return list(found.values())
