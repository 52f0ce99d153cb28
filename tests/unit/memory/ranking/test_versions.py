"""Two versions of a document at one place."""

from datetime import timedelta

from factotum.memory.ranking.found import Found
from factotum.memory.ranking.neighbourhood import unseen
from factotum.memory.ranking.versions import newest
from factotum.memory.store.port import Candidate, Stretch
from tests.support.candidates import LONG_AGO, candidate

LATER = LONG_AGO + timedelta(days=1)


def chunk(identity: str, **changes: object) -> Candidate:
    return candidate(identity, **{"kind": "document", "sequence": "guide", "position": 3, **changes})


def left(*candidates: Candidate) -> str:
    return "".join(each.candidate.id for each in newest([Found(each) for each in candidates]))


def test_the_newest_chunk_at_a_place_stands() -> None:
    old, new = chunk("a"), chunk("b", created_at=LATER)
    assert left(old, new) == left(new, old) == "b"
    assert left(chunk("p", kind="procedure"), chunk("q", kind="procedure", created_at=LATER)) == "q"


def test_another_place_another_kind_and_another_time_of_the_clock_are_no_versions() -> None:
    old = chunk("a")
    assert left(old, chunk("b", position=4, created_at=LATER)) == "ab"
    assert left(old, chunk("b", sequence="rules", created_at=LATER)) == "ab"
    assert left(old, chunk("b", kind="procedure", created_at=LATER)) == "ab"
    assert left(old, chunk("b")) == "ab"


def test_what_was_said_and_what_was_seen_has_no_versions() -> None:
    assert left(chunk("a", speaker="Ann"), chunk("b", speaker="Ann", created_at=LATER)) == "ab"
    assert left(chunk("a", kind="observation"), chunk("b", kind="observation", created_at=LATER)) == "ab"
    assert left(chunk("a", sequence=""), chunk("b", sequence="", created_at=LATER)) == "ab"


def test_the_place_of_a_chunk_is_looked_at_too() -> None:
    hit = Found(chunk("a"))
    assert unseen([hit], [hit]) == [Stretch("guide", 1, 5)]
