"""Of one subject and topic the newest stands, in whatever order they come."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import KIND_PREFERENCE, TRUST_MODEL, TRUST_PERSON, Record
from factotum.memory.preferences import settle
from factotum.memory.records import completed

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def preference(text: str, day: int, **changes: Any) -> Record:
    fields = {"id": f"p-{text}", "kind": KIND_PREFERENCE, "text": text, "subjects": ["ada"], "topic": "drink"}
    return completed("acme", Record(**{**fields, **changes}), FIRST + timedelta(days=day))


def kept_in_order(preferences: list[Record]) -> dict[str, Record]:
    standing: dict[str, Record] = {}
    for record in preferences:
        kept, changed = settle(record, standing.values())
        standing.update({one.id: one for one in (*changed, kept)})
    return standing


def superseded(standing: dict[str, Record]) -> dict[str, int | None]:
    return {
        record.text: (record.superseded_at.ToDatetime(tzinfo=UTC) - FIRST).days
        if record.HasField("superseded_at")
        else None
        for record in standing.values()
    }


def test_the_newest_stands_and_history_says_since_when() -> None:
    tea, coffee, water = preference("tea", 1), preference("coffee", 3), preference("water", 8)
    for order in permutations([tea, coffee, water]):
        assert superseded(kept_in_order(list(order))) == {"tea": 3, "coffee": 8, "water": None}


def test_a_model_s_word_takes_nobody_s_place() -> None:
    said, guessed, again = (
        preference("window", 1, trust=TRUST_PERSON),
        preference("aisle", 3, trust=TRUST_MODEL),
        preference("middle", 5, trust=TRUST_MODEL),
    )
    for order in permutations([said, guessed, again]):
        assert superseded(kept_in_order(list(order))) == {"window": None, "aisle": 3, "middle": 5}
    for order in permutations([guessed, again]):
        assert superseded(kept_in_order(list(order))) == {"aisle": 5, "middle": None}


def test_other_subjects_and_topics_stand_beside() -> None:
    standing = kept_in_order(
        [
            preference("tea", 1),
            preference("bob's", 2, subjects=["bob"]),
            preference("bread", 3, topic="food"),
            preference("everybody's", 4, subjects=[]),
            preference("no topic", 5, topic=""),
        ]
    )
    assert set(superseded(standing).values()) == {None}


def test_any_common_subject_is_enough_and_nobodys_are_everybodys() -> None:
    both = preference("both", 2, subjects=["ada", "ada@acme.example"])
    assert superseded(kept_in_order([preference("tea", 1), both])) == {"tea": 2, "both": None}
    standing = kept_in_order([preference("a", 1, subjects=[]), preference("b", 2, subjects=[])])
    assert superseded(standing) == {"a": 2, "b": None}


@given(days=st.lists(st.integers(0, 3), min_size=1, max_size=6), chance=st.randoms())
def test_the_order_of_coming_makes_no_difference(days: list[int], chance: Any) -> None:
    records = [preference(str(number), day) for number, day in enumerate(days)]
    mixed = list(records)
    chance.shuffle(mixed)
    one, other = kept_in_order(records), kept_in_order(mixed + mixed[:2])
    assert one == other
    assert list(superseded(one).values()).count(None) == 1
