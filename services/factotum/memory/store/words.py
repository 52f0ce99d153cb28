"""The words of an English text that tell it from others: nearly what Milvus' analyser `english` makes. Pure."""

from __future__ import annotations

import re
from typing import Final

# BM25 (Robertson and Zaragoza 2009). Records are of like length, most of them a sentence or a paragraph: that one is
# longer, or says a word again, tells less of its matter than in texts of all lengths, for which 1.2 and 0.75 are usual.
K1: Final = 0.9
B: Final = 0.1

# Lucene's English stop words, which Milvus leaves out.
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by for if in into is it no not of on or such"
        " that the their then there these they this to was will with",
    )
)
_TOKEN = re.compile(r"[^\W_]+")
_VOWEL = re.compile(r"[aeiouy]")
_DOUBLED = re.compile(r"([^aeiouylsz])\1$")
_SHORTEST_STEMMED = 3
_VOWEL_BEFORE_LAST = re.compile(r"[aeiou].$")


def terms(text: str) -> list[str]:
    """Stemmed, in lower case, in their order, as often as they come."""
    return [_stem(token) for token in _TOKEN.findall(text.lower()) if token not in _STOP]


def _stem(word: str) -> str:
    """Step 1 of Porter's stemmer (Program 14, 1980): plurals, `-ed`, `-ing`; and the last `e` that those leave."""
    if len(word) < _SHORTEST_STEMMED or not word.isascii():
        return word
    if word.endswith("sses") or word.endswith("ies"):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and _VOWEL.search(stem := word.removesuffix(ending)):
            word = _DOUBLED.sub(r"\1", stem)
            break
    if word.endswith("y") and len(word) >= _SHORTEST_STEMMED and not _VOWEL_BEFORE_LAST.search(word):
        word = word[:-1] + "i"
    return word[:-1] if word.endswith("e") and _VOWEL.search(word[:-1]) else word
