"""What was recalled a short time ago: it must not come back as something new."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from factotum.memory.records import normal

MOST_TENANTS = 128
MOST_TEXTS = 1024
# Words at either end that may be about where a text comes from.
MOST_PEELED = 8

_SOURCE = frozenset(
    {
        *("according", "as", "based", "from", "i", "in", "is", "it", "know", "known", "me", "memories", "memory", "my"),
        *("noted", "on", "our", "per", "recall", "recalled", "recalls", "remember", "remembered", "remembers", "said"),
        *("says", "stored", "that", "the", "this", "to", "what", "your"),
    }
)
_MARKS = " \t\n.,;:!…\"'“”„‘’«»()"  # noqa: RUF001

# What lists put before a text that they quote: bullets, numbers, quotation marks.
_LEADING = re.compile(r"^(?:[\s>*•·–-]|\d{1,3}[.)]\s)+")  # noqa: RUF001


class GivenOut:
    """The last `MOST_TEXTS` texts given to each of the last `MOST_TENANTS` tenants, by their hashes.

    It belongs to this process: another one does not know what this one gave out.
    """

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, OrderedDict[bytes, None]] = OrderedDict()

    def note(self, tenant: str, texts: Iterable[str]) -> None:
        given = self._tenants.setdefault(tenant, OrderedDict())
        self._tenants.move_to_end(tenant)
        for text in texts:
            given[_hash(text)] = None
            given.move_to_end(_hash(text))
        while len(given) > MOST_TEXTS:
            given.popitem(last=False)
        while len(self._tenants) > MOST_TENANTS:
            self._tenants.popitem(last=False)

    def holds(self, tenant: str, text: str) -> bool:
        """Whether the text is one that was given out, or is made of nothing but such, line by line."""
        given = self._tenants.get(tenant)
        if not given:
            return False
        if any(_hash(part) in given for part in _peeled(text)):
            return True
        lines = [line for raw in text.splitlines() if (line := _LEADING.sub("", raw).strip())]
        return bool(lines) and all(any(_hash(part) in given for part in _peeled(line)) for line in lines)


def _peeled(text: str) -> Iterator[str]:
    """The text without what only says where it comes from: "Memory says: …", "…, according to memory"."""
    words = text.split()
    before = next((index for index, word in enumerate(words) if _bare(word) not in _SOURCE), len(words))
    after = next((index for index, word in enumerate(reversed(words)) if _bare(word) not in _SOURCE), len(words))
    for start in range(min(before, MOST_PEELED) + 1):
        for end in range(min(after, MOST_PEELED) + 1):
            if start + end < len(words):
                yield " ".join(words[start : len(words) - end])


def _bare(word: str) -> str:
    return word.casefold().strip(_MARKS)


def _hash(text: str) -> bytes:
    return hashlib.sha256(normal(text).strip(_MARKS).encode()).digest()
