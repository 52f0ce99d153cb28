"""Which records concern a person or thing: those that name one of its identifiers, anywhere. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.records import normal

MAX_IDENTIFIERS = 32
LONGEST_IDENTIFIER = 256
# A shorter one stands in nearly every text: it is looked for among the subjects alone.
SHORTEST_IN_TEXT = 3
# Words that may stand between those of a name: "first name Grace, last name Hopper", "Hopper, Grace".
BETWEEN_NAMES = 4

# A decimal number is one word: 1042 is not named by 1042.5.
WORD = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+")


def checked_identifiers(identifiers: Iterable[str]) -> tuple[str, ...]:
    """The identifiers in the form in which they are compared. Raises `InvalidRequest` for none, and for too many."""
    found = tuple(dict.fromkeys(normal(identifier) for identifier in identifiers))
    if not 1 <= len(found) <= MAX_IDENTIFIERS:
        raise InvalidRequest(f"subjects: give 1 to {MAX_IDENTIFIERS} identifiers of the person")
    for identifier in found:
        if not 1 <= len(identifier) <= LONGEST_IDENTIFIER:
            raise InvalidRequest(f"subjects: an identifier has 1 to {LONGEST_IDENTIFIER} characters")
    return found


class Concerns:
    """Whether a record names one of some identifiers: as a subject, or by its words in anything the record holds.

    An address is named by itself: `ada@acme.example` is not by `c.ada@acme.example` nor by `ada@acme.example.org`. The
    words of a name may come in any order and a little apart; those of what holds a digit come one after the other.
    What has less than three characters is looked for among the subjects alone.

    Args:
        identifiers: as `checked_identifiers` gives them.
    """

    def __init__(self, identifiers: Sequence[str]) -> None:
        self._identifiers = frozenset(identifiers)
        findable = [identifier for identifier in identifiers if len(identifier) >= SHORTEST_IN_TEXT]
        addresses = sorted((one for one in findable if "@" in one), key=len, reverse=True)
        alternatives = "|".join(map(re.escape, addresses)) or "(?!)"
        # A dot or a hyphen between word characters goes on with an address; one at the end of a sentence does not.
        self._address = re.compile(rf"(?<![\w@+])(?<!\w[.-])(?:{alternatives})(?![\w@+]|[.-]\w)")
        self._phrases = [words for one in findable if "@" not in one and (words := WORD.findall(one))]

    def __call__(self, record: Record) -> bool:
        if any(normal(subject) in self._identifiers for subject in record.subjects):
            return True
        return any(self._is_named(text) for text in texts(record))

    def _is_named(self, text: str) -> bool:
        said = normal(text)
        if self._address.search(said):
            return True
        if "%" in text and self._address.search(normal(unquote(text))):
            return True
        words = WORD.findall(said) if self._phrases else []
        return any(_named(phrase, words) for phrase in self._phrases)


def texts(record: Record) -> Iterator[str]:
    """Every text that a record holds but its subjects, which are identifiers themselves."""
    provenance, place = record.provenance, record.place
    yield from (record.text, record.id, record.run_id, record.origin, record.topic, place.sequence, place.speaker)
    yield from (provenance.step, provenance.document, provenance.section, provenance.person)
    yield from _strings(json.loads(record.attributes_json or "{}"))


def _named(phrase: Sequence[str], words: Sequence[str]) -> bool:
    is_name = all(word.isalpha() for word in phrase)
    reach = len(phrase) + (BETWEEN_NAMES if is_name and len(phrase) > 1 else 0)
    wanted = set(phrase)
    if not wanted.issubset(words):
        return False
    if is_name:
        places = (place for place, word in enumerate(words) if word in wanted)
        return any(wanted.issubset(words[place : place + reach]) for place in places)
    starts = (place for place, word in enumerate(words) if word == phrase[0])
    return any(list(words[place : place + reach]) == list(phrase) for place in starts)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        # An employee's number may have been kept as a number.
        yield str(value)
