"""A task of several parts."""

from dataclasses import replace

from factotum.memory.ranking.found import Found
from factotum.memory.ranking.parts import joined, parts
from tests.support.candidates import candidate


def test_sentences_and_clauses_are_parts() -> None:
    assert parts("Find a flight to Bern. Then book a hotel there, and write it into my calendar.") == [
        "Find a flight to Bern.",
        "Then book a hotel there",
        "and write it into my calendar.",
    ]


def test_one_sentence_has_no_parts() -> None:
    assert parts("Who repaired the boiler in March?") == []
    assert parts("Thanks. Who repaired the boiler in March?") == []


def test_no_more_than_the_longest_few_are_looked_for() -> None:
    task = ". ".join(f"Do the thing number {'n' * number}" for number in range(1, 9))
    assert len(parts(task)) == 4


def test_what_answers_a_part_gains_what_it_is_worth_there() -> None:
    whole = [Found(candidate("a"), meaning_rank=1, relevance=0.5), Found(candidate("b"), meaning_rank=2, relevance=0.4)]
    first = [Found(candidate("b"), words_rank=1, relevance=0.3)]
    second = [Found(candidate("b"), words_rank=2, relevance=0.2), Found(candidate("c"), words_rank=1, relevance=0.6)]
    answer = {each.candidate.id: each for each in joined(whole, [first, second])}
    assert answer == {"a": whole[0], "b": replace(whole[1], relevance=0.7), "c": second[1]}
