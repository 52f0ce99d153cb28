"""Turns that ask and tell nothing."""

import pytest

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory.ranking import weights
from factotum.memory.ranking.asking import answering_first, only_asks
from factotum.memory.ranking.found import Found
from factotum.memory.ranking.order import ordered
from tests.support.candidates import NOW, candidate


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Have you read it yet?", True),
        ("Hey Ada! How are you? What's new?", True),
        ("I finished it on Sunday. And you?", False),
        ("Where to? To Lisbon, with my sister and her dog.", False),
        ("Lisbon", False),
        ("", False),
    ],
)
def test_what_only_asks(text: str, asks: bool) -> None:
    assert only_asks(text) is asks


def test_a_turn_that_only_asks_makes_way_for_one_that_tells_and_its_score_says_why() -> None:
    turns = [
        Found(candidate(name, sequence=name, speaker="Ada"), relevance=relevance)
        for name, relevance in [("question", 1.0), ("answer", 0.9), ("gone", 0.8)]
    ]
    records = {"question": Record(text="Did you like the book?"), "answer": Record(text="I loved that book to bits.")}
    first, second = answering_first(ordered(turns, "book", NOW), records)
    assert (first.id, first.asking, second.id) == ("answer", 0.0, "question")
    assert second.asking == pytest.approx(-weights.ASKING * (second.score - second.asking))


def test_of_what_nobody_said_a_question_is_as_good_as_any() -> None:
    heading = Found(candidate("heading"), relevance=1.0)
    (only,) = answering_first(ordered([heading], "leave", NOW), {"heading": Record(text="How do I ask for leave?")})
    assert only.asking == 0
