"""Which records concern a person or thing: those that name one of its identifiers, anywhere. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.records import normal

MAX_IDENTIFIERS = 32
LONGEST_IDENTIFIER = 256
# A shorter one stands in nearly every text: it is looked for among the subjects alone.
SHORTEST_IN_TEXT = 3


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
    """Whether a record names one of some identifiers: as a subject, or at the borders of words in anything it holds.
    One of less than three characters is looked for among the subjects alone.

    `ada@acme.example` is not named by `cada@acme.example` nor by `ada@acme.example.org`.

    Args:
        identifiers: as `checked_identifiers` gives them.
    """

    def __init__(self, identifiers: Sequence[str]) -> None:
        self._identifiers = frozenset(identifiers)
        findable = sorted((one for one in identifiers if len(one) >= SHORTEST_IN_TEXT), key=len, reverse=True)
        alternatives = "|".join(map(re.escape, findable)) or "(?!)"
        # A dot, a plus or a hyphen goes on with an address or a number; a dot at the end of a sentence does not.
        self._named = re.compile(rf"(?<![\w@+-])(?<!\w\.)(?:{alternatives})(?![\w@+-]|\.\w)")

    def __call__(self, record: Record) -> bool:
        if any(normal(subject) in self._identifiers for subject in record.subjects):
            return True
        return any(self._named.search(normal(text)) for text in texts(record))


def texts(record: Record) -> Iterator[str]:
    """Every text that a record holds but its subjects, which are identifiers themselves."""
    provenance, place = record.provenance, record.place
    yield from (record.text, record.id, record.run_id, record.origin, record.topic, place.sequence, place.speaker)
    yield from (provenance.step, provenance.document, provenance.section, provenance.person)
    yield from _strings(json.loads(record.attributes_json or "{}"))


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
