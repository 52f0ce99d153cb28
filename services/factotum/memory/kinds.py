"""The kinds of records and their rules: how long one is kept, what it weighs, what takes its place. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Replacing(StrEnum):
    """What makes way for a record that comes."""

    BY_ID = "by id"  # the one with its id
    BY_TOPIC = "by topic"  # the older ones of its subject and topic; they stay as history
    BY_VERSION = "by version"  # the chunks of other versions of its document


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for a kind.

    Args:
        lifetime: after its time a record expires; None: it is kept until it is replaced or forgotten.
        importance: 0 to 1, of a record that brings none.
        shortest: least characters of text that are worth keeping.
    """

    lifetime: timedelta | None
    importance: float
    replacing: Replacing = Replacing.BY_ID
    shortest: int = 1


RULES: dict[str, Rule] = {
    "observation": Rule(timedelta(days=30), 0.2, shortest=3),
    "thought": Rule(timedelta(days=90), 0.3, shortest=3),
    "episode": Rule(timedelta(days=730), 0.6),
    "document": Rule(None, 0.5, Replacing.BY_VERSION, shortest=3),
    "preference": Rule(None, 0.9, Replacing.BY_TOPIC),
    "procedure": Rule(None, 0.7, Replacing.BY_VERSION),
    "tool": Rule(None, 0.5),
}

# The kinds that documents are kept as.
OF_DOCUMENTS: tuple[str, ...] = tuple(kind for kind, rule in RULES.items() if rule.replacing is Replacing.BY_VERSION)
