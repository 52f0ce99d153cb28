"""Whose turns a question is about."""

from dataclasses import replace

from factotum.memory.ranking import weights
from factotum.memory.ranking.found import Found, merged
from factotum.memory.ranking.order import ordered
from factotum.memory.ranking.speakers import named
from tests.support.candidates import NOW, candidate


def turns(*speakers: str, sequence: str = "talk") -> list[Found]:
    return [
        Found(candidate(f"{sequence}{place}", sequence=sequence, position=place, speaker=speaker))
        for place, speaker in enumerate(speakers)
    ]


def test_of_two_the_one_whom_the_question_names() -> None:
    found = turns("Ann Lee", "Ben")
    assert named("When did ANN move?", found) == {("talk", "Ann Lee")}
    assert named("What is Ben's dog called?", found) == {("talk", "Ben")}
    assert named("What do Ann and Ben share?", found) == {("talk", "Ann Lee"), ("talk", "Ben")}
    assert named("Who moved?", found) == frozenset()


def test_where_more_talk_and_where_nobody_does_none() -> None:
    assert named("When did Ann move?", turns("Ann", "Ben", "Cid")) == frozenset()
    assert named("When did Ann move?", [Found(candidate("a", speaker="Ann"))]) == frozenset()
    other = turns("Ann", "Ben", "Cid", sequence="party")
    assert named("When did Ann move?", [*turns("Ann", "Ben"), *other]) == {("talk", "Ann")}


def test_a_name_that_is_an_empty_word_is_no_name() -> None:
    assert named("When will Ann move?", turns("Will", "Ann")) == {("talk", "Ann")}


def test_what_the_named_one_said_comes_first_of_two_that_answer_equally_and_says_so() -> None:
    said = [
        candidate(name, 5.0, sequence=name, speaker=speaker)
        for name, speaker in [("a", "Ben"), ("b", "Ann"), ("c", "")]
    ]
    rest = [replace(each, id=f"{each.id}{number}", score=number / 10) for number in range(5) for each in said]
    first = ordered(merged([*said, *rest], []), "Where does Ann live?", NOW)[0]
    assert (first.id, first.speaker) == ("b", weights.SPEAKER)
