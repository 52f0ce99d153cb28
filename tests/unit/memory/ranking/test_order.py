"""How two lists become one order, and why."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.memory.ranking import weights
from factotum.memory.ranking.found import Found, heights, merged
from factotum.memory.ranking.neighbourhood import gains, unseen
from factotum.memory.ranking.order import Ranked, ordered
from factotum.memory.store.port import Candidate, Stretch
from tests.support.candidates import LONG_AGO, NOW, candidate, listed


def ranked(by_meaning: list[Candidate], by_words: list[Candidate], question: str = "") -> list[Ranked]:
    return ordered(merged(by_meaning, by_words), question, NOW)


def ids(by_meaning: list[Candidate], by_words: list[Candidate]) -> str:
    return "".join(each.id for each in ranked(by_meaning, by_words))


def test_what_both_lists_name_comes_first() -> None:
    assert ids(listed("abcd"), listed("cxyz"))[0] == "c"
    assert ids([], listed("ba")) == "ba"
    assert ids(listed("abc"), []) == "abc"
    assert ids([], []) == ""


def test_a_record_far_above_the_others_of_one_list_wins_over_the_first_of_two_flat_ones() -> None:
    flat = [candidate(name, 1.0 - place / 1000) for place, name in enumerate("abcdefgh")]
    steep = [candidate("x", 30.0), *(candidate(name, 1.0 - place / 1000) for place, name in enumerate("efghabcd"))]
    assert ids(flat, steep)[0] == "x"


def test_heights_are_counted_from_the_last_and_do_not_depend_on_scale() -> None:
    assert heights([]) == []
    assert heights([3.0]) == [1.0]
    assert heights([2.0, 2.0]) == [0.0, 0.0]
    assert heights([5.0, 3.0, 1.0]) == pytest.approx(heights([0.5, 0.3, 0.1]))
    assert heights([5.0, 3.0, 1.0])[-1] == 0


def test_what_hardly_differs_in_meaning_is_told_apart_by_time_and_importance() -> None:
    old, new = candidate("old", 0.52, importance=0.05), candidate("new", 0.50, created_at=NOW, importance=1.0)
    assert ids([old, new], []) == "newold"
    assert ids([replace(old, score=0.7), new], []) == "oldnew"


def test_words_that_hardly_weigh_decide_nothing_by_themselves() -> None:
    old, new = candidate("old", 0.51), candidate("new", 0.50, created_at=NOW, importance=1.0)
    assert ids([], [old, new]) == "newold"


def test_what_has_no_word_of_the_question_and_another_meaning_is_not_found() -> None:
    far, farther = candidate("far", 0.02), candidate("farther", -0.03)
    assert ids([far, farther], []) == ids([farther], []) == ""
    assert ids([far], [replace(far, score=0.7)]) == "far"
    assert ids([candidate("near", 0.04), farther], []) == "near"


def test_what_is_far_stays_beside_what_answers_and_as_the_episode_of_what_answers() -> None:
    said = [
        candidate(str(place), score, sequence="talk", position=place, speaker="Ann")
        for place, score in enumerate([0.6, -0.02])
    ]
    answer = ranked(said, [])
    assert [(each.id, each.found.relevance > 0) for each in answer] == [("0", True), ("1", False)]
    part, whole = candidate("part", 0.6, run_id="r"), candidate("whole", -0.02, run_id="r", kind="episode")
    assert ids([part, whole], []) == "wholepart"
    assert ids([replace(part, run_id="s"), whole], []) == "part"


def test_an_episode_stands_where_the_best_observation_of_its_run_stands_and_before_it() -> None:
    part, other = candidate("part", 3.0, run_id="r"), candidate("other", 2.0, run_id="s")
    episode = candidate("whole", 1.0, run_id="r", kind="episode")
    assert [each.id for each in ranked([part, other, episode], [part, other])] == ["whole", "part", "other"]


def test_of_two_that_answer_equally_the_weightier_and_the_newer_come_first() -> None:
    old, new = candidate("old", 1.0), candidate("new", 1.0, created_at=LONG_AGO + timedelta(days=1))
    assert [each.id for each in ranked([old, new], [])] == ["new", "old"]
    assert [each.id for each in ranked([replace(old, importance=1.0), new], [])] == ["old", "new"]
    assert [each.id for each in ranked([new, replace(old, created_at=NOW)], [])] == ["old", "new"]


def test_recency_and_importance_decide_nothing_between_records_that_answer_differently() -> None:
    worse = candidate("worse", 1.0, importance=1.0, created_at=NOW)
    assert ids([candidate("b", 9.0), candidate("c", 6.0), worse], []).startswith("bc")


def turns(count: int, hit: int, score: float = 5.0) -> list[Candidate]:
    return [
        candidate(str(place), score if place == hit else 0.1, sequence="talk", position=place, speaker="Ann")
        for place in range(count)
    ]


def test_neighbours_of_a_hit_come_next_the_nearer_the_higher() -> None:
    answer = ranked(turns(20, hit=7), [])
    assert [each.id for each in answer[:1]] == ["7"]
    assert {each.id for each in answer[1:3]} == {"6", "8"}
    assert {each.id for each in answer[3:5]} == {"5", "9"}
    assert [each.neighbour_of for each in answer[:3]] == ["", "7", "7"]


def test_a_neighbour_in_another_sequence_or_without_one_gains_nothing() -> None:
    found = [Found(candidate(name, sequence=name and "", position=1), relevance=1.0) for name in "ab"]
    assert gains(found) == {}
    beside = [
        Found(candidate(name, sequence=name, position=1), relevance=relevance)
        for name, relevance in [("a", 1.0), ("b", 0.0)]
    ]
    assert gains(beside)["b"].amount == 0


def test_neighbours_that_no_search_found_are_looked_up_once() -> None:
    hits = [Found(candidate(str(place), sequence="talk", position=place), relevance=1.0) for place in (5, 6)]
    assert unseen(hits, hits) == [Stretch("talk", 3, 4), Stretch("talk", 7, 8)]
    assert unseen([Found(candidate("alone"))], []) == []


def test_the_same_content_is_told_once_and_names_what_it_stands_for() -> None:
    first, again = candidate("a", 2.0, content_sha256="ff"), candidate("b", 1.0, content_sha256="ff")
    answer = ranked([first, again, candidate("c", 0.5)], [])
    assert [(each.id, each.duplicates) for each in answer] == [("a", ("b",)), ("c", ())]
    said = ranked([replace(first, speaker="Ann"), replace(again, speaker="Ann")], [])
    assert [each.duplicates for each in said] == [(), ()]
    other_kind = ranked([first, replace(again, kind="thought")], [])
    assert len(other_kind) == 2


candidates = st.builds(
    candidate,
    st.sampled_from("abcdefgh"),
    st.floats(0, 30, allow_nan=False),
    kind=st.sampled_from(["observation", "episode"]),
    run_id=st.sampled_from(["", "r", "s"]),
    sequence=st.sampled_from(["", "talk", "book"]),
    position=st.integers(0, 9),
    speaker=st.sampled_from(["", "Ann", "Ben", "Cid"]),
    importance=st.floats(0, 1),
    created_at=st.sampled_from([LONG_AGO, NOW, NOW + timedelta(days=1)]),
    content_sha256=st.sampled_from(["", "aa", "bb"]),
)
rankings = st.lists(candidates, unique_by=lambda each: each.id).map(
    lambda found: sorted(found, key=lambda each: -each.score)
)


@given(rankings, rankings)
def test_each_record_once_best_first_and_the_parts_add_up(
    by_meaning: list[Candidate], by_words: list[Candidate]
) -> None:
    answer = ranked(by_meaning, by_words, "What did Ann say?")
    told = [name for each in answer for name in (each.id, *each.duplicates)]
    found = {each.candidate.id: each for each in merged(by_meaning, by_words)}
    assert len(told) == len(set(told)) and set(told) <= set(found)
    assert all(found[left].far and found[left].relevance == 0 for left in set(found) - set(told))
    assert [each.score for each in answer] == sorted((each.score for each in answer), reverse=True)
    for each in answer:
        parts = (each.found.relevance, each.recency, each.importance, each.neighbourhood, each.speaker)
        assert min(parts) >= 0
        assert sum(parts) == pytest.approx(each.score)
        assert each.recency <= weights.RECENCY
        assert each.neighbour_of != each.id
