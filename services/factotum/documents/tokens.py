"""How many word pieces a text has, estimated without the embedder's vocabulary. Pure.

The memory's embedder reads the first 256 word pieces of a text (WordPiece, uncased: Wu et al. 2016, arXiv:1609.08144),
and is not installed where documents are read. Its vocabulary is English: there most words are one piece; those of other
European languages are pieces of about two and a half letters, and of other scripts every letter is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Count = Callable[[str], int]

# Blanks are no pieces. That a text of little else is bounded all the same, bytes count, too.
BYTES_A_TOKEN = 32

_PARTS = re.compile(r"(?P<word>[A-Za-z\u00c0-\u024f]+)|(?P<number>\d+)|\S")
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_ENGLISH = re.compile(
    r"\b(?:a|an|and|are|as|at|be|by|can|for|from|has|have|if|in|into|is|it|its|not|of|on|or|that|the|their|then|there|"
    r"these|they|this|to|was|were|when|where|which|will|with|you|your)\b",
    re.IGNORECASE,
)
# Of 100 words of running English about 40 are among these, of other languages and of code less than 15.
_LEAST_ENGLISH = 0.18


def counter(sample: str) -> Count:
    """What counts the tokens of texts in the language of the sample: rather too many than too few.

    The count of two texts together, put together where no word goes on, is at most the sum of their counts. A text of n
    tokens has at most n times `BYTES_A_TOKEN` bytes of UTF-8; one character is one token at most.
    """
    words = sum(1 for _ in _WORD.finditer(sample))
    english = sum(1 for _ in _ENGLISH.finditer(sample)) >= _LEAST_ENGLISH * max(1, words)
    pieces = _english if english else _other

    def count(text: str) -> int:
        size = -(-len(text.encode(errors="replace")) // BYTES_A_TOKEN)
        return max(size, sum(_count(found, pieces) for found in _PARTS.finditer(text)))

    return count


def _count(found: re.Match[str], pieces: Callable[[int], int]) -> int:
    length = found.end() - found.start()
    match found.lastgroup:
        case "word":
            return pieces(length)
        case "number":
            return (length + 1) // 2
    return 1


def _english(length: int) -> int:
    return 1 if length <= 7 else 2 if length <= 11 else 1 + length // 4


def _other(length: int) -> int:
    return 1 if length <= 3 else (2 * length + 4) // 5
