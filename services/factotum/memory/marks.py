"""By what somebody who was forgotten is known for a while: hashes of identifiers, and of what records name. Pure.

A mark holds no identifier. Whoever has a mark, and guesses an identifier, can see whether the guess is right: that is
why marks live for a day, and their salt with them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Final
from urllib.parse import unquote

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.concerning import BETWEEN_NAMES, SHORTEST_IN_TEXT, WORD, texts
from factotum.memory.records import normal

# Words of a name that may come in any order; the further ones of a longer name are not looked at.
_MOST_OF_A_NAME: Final = 4
_DIGITS: Final = 32
# What comes before an "@", and what goes on after it, which may begin another address.
_AROUND_AT: Final = re.compile(r"([^\s@]+)@(?=([\w.-]+))")
# Where an address may begin: not within a word, nor after a dot or a hyphen that goes on with one.
_BEGINNING: Final = re.compile(r"(?<![\w@+])(?<!\w[.-])")


@dataclass(frozen=True, slots=True)
class Mark:
    """Somebody of a tenant who was forgotten at a moment.

    `names` and `phrases` are the numbers of words of the names, and of the other identifiers, that it stands for.
    """

    tenant: str
    moment: datetime
    salt: str
    hashes: frozenset[str]
    names: frozenset[int]
    phrases: frozenset[int]


def mark_of(tenant: str, identifiers: Sequence[str], moment: datetime, salt: str) -> Mark:
    """Args:
    identifiers: as `concerning.checked_identifiers` gives them.
    salt: random, so that the marks of two days or tenants do not compare.
    """
    hashes = {_hash(salt, "subject", one) for one in identifiers}
    names: set[int] = set()
    phrases: set[int] = set()
    for one in identifiers:
        words = WORD.findall(one)
        if len(one) < SHORTEST_IN_TEXT or not ("@" in one or words):
            continue
        if "@" in one:
            hashes.add(_hash(salt, "address", one))
        elif all(word.isalpha() for word in words):
            name = sorted(list(dict.fromkeys(words))[:_MOST_OF_A_NAME])
            hashes.add(_hash(salt, "name", *name))
            names.add(len(name))
        else:
            hashes.add(_hash(salt, "phrase", *words))
            phrases.add(len(words))
    return Mark(tenant, moment, salt, frozenset(hashes), frozenset(names), frozenset(phrases))


def concerned(marks: Iterable[Mark], record: Record) -> bool:
    """Whether the record names somebody of these marks, as `concerning.Concerns` would say of the identifiers."""
    by_salt: dict[str, list[Mark]] = {}
    for mark in marks:
        by_salt.setdefault(mark.salt, []).append(mark)
    if not by_salt:
        return False
    subjects = [normal(subject) for subject in record.subjects]
    said = {normal(text) for text in texts(record)}
    said |= {normal(unquote(text)) for text in texts(record) if "%" in text}
    for salt, some in by_salt.items():
        hashes = frozenset[str]().union(*(mark.hashes for mark in some))
        names = frozenset[int]().union(*(mark.names for mark in some))
        phrases = frozenset[int]().union(*(mark.phrases for mark in some))
        if any(_hash(salt, "subject", subject) in hashes for subject in subjects):
            return True
        if any(_hash(salt, *named) in hashes for text in said for named in _named(text, names, phrases)):
            return True
    return False


def _named(text: str, names: Iterable[int], phrases: Iterable[int]) -> Iterator[tuple[str, ...]]:
    """Everything in a text that could be an identifier, with its sort, each once."""
    yield from {("address", address) for address in _addresses(text)}
    words = WORD.findall(text)
    for size in phrases:
        yield from {("phrase", *words[at : at + size]) for at in range(len(words) - size + 1)}
    for size in names:
        yield from {("name", *name) for name in _names(words, size)}


def _addresses(text: str) -> Iterator[str]:
    for around in _AROUND_AT.finditer(text):
        after = around[2].rstrip(".-")
        if after == around[2] and text[around.end(2) : around.end(2) + 1] in ("@", "+"):
            continue
        for beginning in _BEGINNING.finditer(text, around.start(), around.end(1)):
            if local := text[beginning.start() : around.end(1)]:
                yield f"{local}@{after}"


def _names(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Words that stand near each other, in the order of the alphabet."""
    if size == 1:
        yield from ((word,) for word in words)
        return
    for at, first in enumerate(words):
        near = words[at + 1 : at + size + BETWEEN_NAMES]
        for others in combinations(near, size - 1):
            yield tuple(sorted((first, *others)))


def _hash(salt: str, *parts: str) -> str:
    return hashlib.sha256("\n".join((salt, *parts)).encode()).hexdigest()[:_DIGITS]
