"""Whose turns a question is about. Pure.

Where two talk, each tells mostly of themselves: what is asked of one of them, that one has said. Where more talk, they
tell as much of each other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from factotum.memory.ranking.found import Found
from factotum.memory.ranking.question import looked_for

_WORD = re.compile(r"[^\W_]+")
_TALKING_OF_THEMSELVES = 2


def named(question: str, found: Sequence[Found]) -> frozenset[tuple[str, str]]:
    """Sequences with at most two speakers, each with a speaker of it whose name, or a part of it, the question says."""
    speakers: dict[str, set[str]] = defaultdict(set)
    for each in found:
        if each.candidate.sequence and each.candidate.speaker:
            speakers[each.candidate.sequence].add(each.candidate.speaker)
    words = _words(looked_for(question))
    return frozenset(
        (sequence, speaker)
        for sequence, talking in speakers.items()
        if len(talking) <= _TALKING_OF_THEMSELVES
        for speaker in talking
        if words & _words(speaker)
    )


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
