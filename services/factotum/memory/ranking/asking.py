"""Turns that ask and tell nothing. Pure.

"Have you read it yet?" says the words of a question again and answers none. It still counts for the turn after it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.ranking import weights
from factotum.memory.ranking.order import Ranked

_BREAK = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[^\W_]+")
# "Hey Ada! How are you?" tells no more than "How are you?".
_TELLING = 4


def only_asks(text: str) -> bool:
    """Whether there is a question in it, and hardly a word beside questions."""
    sentences = [sentence.rstrip() for sentence in _BREAK.split(text)]
    others = [sentence for sentence in sentences if not sentence.endswith("?")]
    return len(others) < len(sentences) and sum(len(_WORD.findall(each)) for each in others) < _TELLING


def answering_first(ranked: Sequence[Ranked], records: Mapping[str, Record]) -> list[Ranked]:
    """Those of which a record is there, best first, where turns that only ask have lost a share of their score."""
    there = [_weighed(each, records[each.id].text) for each in ranked if each.id in records]
    return sorted(there, key=lambda each: -each.score)


def _weighed(each: Ranked, text: str) -> Ranked:
    if each.found.candidate.speaker and only_asks(text):
        return replace(each, asking=-weights.ASKING * each.score)
    return each
