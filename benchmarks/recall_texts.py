"""Records and questions for `benchmarks.recall`, made by a seeded generator. Pure.

Of ten records three are what tools answered, five a turn of a conversation, two are of two sentences: 25 tokens in the
mean. Sentences come from the language reference that Python ships (`pydoc_data`), so that words are as common
and as rare as in written text; names, addresses and numbers are made up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pydoc_data.topics import topics
from random import Random

from factotum.api.memory.v1.memory_pb2 import Kind, Place, Record

TENANT = "acme"
SEQUENCE = 40  # records of one conversation, document or run
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
    "va",
    "we",
    "xi",
    "yo",
    "zu",
]
_TOOLS = [
    "identity.create_user",
    "chat.post_message",
    "calendar.create_event",
    "mail.send",
    "hr.get_employee",
    "git.open_issue",
]
_PLACES = ("the second floor", "Lisbon", "the warehouse", "room 4.12", "the Berlin office", "payroll")


def sentences() -> list[str]:
    text = re.sub(r"\s+", " ", " ".join(topics[name] for name in sorted(topics)))
    return [
        each
        for each in re.split(r"(?<=[.;:]) ", text)
        if 4 <= len(each.split()) <= 16 and re.fullmatch(r"[\w ,.;:'-]+", each)
    ]


def texts(count: int, *, seed: int) -> list[str]:
    random, written = Random(seed), sentences()  # noqa: S311
    return [_text(random, written) for _ in range(count)]


def questions(kept: list[str], count: int, *, seed: int) -> list[str]:
    """Each has four to nine words of a record in their order, behind a question's first words."""
    random = Random(seed)  # noqa: S311
    asked = []
    for text in random.sample(kept, count):
        words = text.split()
        picked = sorted(random.sample(range(len(words)), min(len(words), random.randint(4, 9))))
        beginning = random.choice(["What about", "When was", "Which one", "Who said"])
        asked.append(" ".join([beginning, *(words[index] for index in picked)]))
    return asked


def records(kept: list[str]) -> Iterator[Record]:
    """The texts as records of several kinds, in sequences, a minute apart, about 500 people."""
    for number, text in enumerate(kept):
        sequence, position = divmod(number, SEQUENCE)
        record = Record(
            id=f"record-{number}",
            kind=(Kind.KIND_OBSERVATION, Kind.KIND_EPISODE, Kind.KIND_DOCUMENT)[sequence % 3],
            text=text,
            subjects=[f"person{number % 500}@acme.example"],
            attributes_json=json.dumps({"number": number}),
            place=Place(sequence=f"sequence-{sequence}", position=position),
        )
        record.created_at.FromDatetime(_BEGAN + timedelta(minutes=number))
        yield record


def _text(random: Random, written: list[str]) -> str:
    match random.random():
        case part if part < 0.3:
            return (
                f"{random.choice(_TOOLS)} with user {_name(random)}, place {random.choice(_PLACES)}. "
                f"Answered: id {random.randrange(10**4)}."
            )
        case part if part < 0.8:
            return f"{_name(random).title()}: {random.choice(written)}"
    return " ".join(random.choices(written, k=2))


def _name(random: Random) -> str:
    return "".join(random.choices(_SYLLABLES, k=3)) + " " + "".join(random.choices(_SYLLABLES, k=4))
