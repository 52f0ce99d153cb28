from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from factotum.api.memory.v1.memory_pb2 import (
    KIND_DOCUMENT,
    KIND_EPISODE,
    KIND_OBSERVATION,
    KIND_PREFERENCE,
    TRUST_PERSON,
    Kind,
    Record,
)
from factotum.memory.consolidation import Plan, matters, plan
from factotum.memory.records import completed
from factotum.memory.repeats import MOST_FOLDED, shape
from factotum.memory.told import FEWEST

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def record(
    number: int,
    text: str,
    *,
    kind: Kind.ValueType = KIND_OBSERVATION,
    ago: timedelta = 3 * DAY,
    subjects: tuple[str, ...] = (),
    run: str = "",
    **attributes: Any,
) -> Record:
    made = Record(
        id=f"r{number:05}",
        kind=kind,
        text=text,
        subjects=subjects,
        run_id=run or f"run-{number}",
        attributes_json=json.dumps(attributes),
    )
    made.created_at.FromDatetime(NOW - ago)
    return made


def failure(number: int, *, ago: timedelta = 3 * DAY, person: str = "") -> Record:
    to = person or "nobody"
    return record(
        number,
        f"mail.send with to {to}. Failed (unavailable): 10.0.0.{number % 250}:25 did not answer in {number} ms.",
        ago=ago,
        subjects=(person,) if person else (),
        tool="mail.send",
        error="unavailable",
    )


def choice(number: int, zone: str, *, person: str = "ada@acme.example", **more: Any) -> Record:
    return record(
        number,
        f"calendar.schedule with title review {number}-x. Answered: id {number}.",
        subjects=(person,),
        tool="calendar.schedule",
        arguments={"zone": zone, "title": f"review {number}"},
        **more,
    )


def planned(*records: Record) -> Plan:
    return plan("acme", records, NOW)


def test_what_repeats_itself_becomes_one_episode_that_says_how_often_and_when() -> None:
    failures = [failure(number, ago=timedelta(days=9 - number)) for number in range(5)]
    (fold,) = planned(*failures).folds
    assert fold.rule == "repeated"
    assert sorted(fold.removed) == [one.id for one in failures]
    assert sorted(fold.into.provenance.folded_from) == [one.id for one in failures]
    assert fold.into.kind == KIND_EPISODE
    assert fold.into.text.startswith(
        "mail.send failed (unavailable) 5 times between 2026-11-11 12:00 and 2026-11-15 12:00 UTC."
    )
    assert fold.into.created_at == failures[-1].created_at


def test_what_happened_twice_stays() -> None:
    assert not planned(*(failure(number) for number in range(FEWEST - 1))).folds


def test_what_is_of_today_stays() -> None:
    assert not planned(*(failure(number, ago=DAY - timedelta(seconds=1)) for number in range(FEWEST))).folds
    assert planned(*(failure(number, ago=DAY) for number in range(FEWEST))).folds


def test_what_says_something_else_is_not_folded_with_it() -> None:
    others = [
        record(10, "mail.send with to nobody. Failed (unavailable): the certificate expired.", tool="mail.send"),
        record(11, "chat.post with to nobody. Failed (unavailable): 10.0.0.1:25 did not answer.", tool="chat.post"),
    ]
    (fold,) = planned(*(failure(number) for number in range(3)), *others).folds
    assert {one.id for one in others}.isdisjoint(fold.removed)


def test_what_is_about_different_people_is_never_folded_together() -> None:
    people = ["ada@acme.example", "bob@acme.example", "cyd@acme.example"]
    assert not planned(*(failure(number, person=person) for number, person in enumerate(people))).folds
    twice = [failure(10 * n + number, person=person) for n in range(3) for number, person in enumerate(people)]
    folds = planned(*twice).folds
    assert sorted(list(fold.into.subjects) for fold in folds) == [[person] for person in people]
    for fold in folds:
        assert {other for other in people if other in fold.into.text} == set(fold.into.subjects)


def test_only_observations_of_tools_repeat_themselves() -> None:
    same = [record(n, "the same words", kind=KIND_DOCUMENT, tool="x.y") for n in range(4)]
    notes = [record(10 + n, "no procedure matched") for n in range(4)]
    assert not planned(*same, *notes).folds


def test_more_than_one_record_can_name_becomes_several() -> None:
    many = [failure(number) for number in range(MOST_FOLDED + FEWEST)]
    folds = planned(*many).folds
    assert [len(fold.removed) for fold in folds] == [MOST_FOLDED, FEWEST]


@pytest.mark.parametrize("letter", ["x", "\N{OGHAM LETTER RUIS}"])
def test_what_is_made_is_never_too_large_to_be_kept(letter: str) -> None:
    calls = [choice(number, "UTC") for number in range(MOST_FOLDED)]
    for one in calls:
        one.id = f"{one.id}{letter * 118}"
    folds = planned(*calls).folds
    assert {fold.rule for fold in folds} == {"repeated", "habit"}
    for fold in folds:
        completed("acme", fold.into, NOW)


def test_a_tool_s_longest_names_make_a_topic_too() -> None:
    long = [
        record(
            n, "It was done.", subjects=("ada",), tool="t" * 256, arguments={f"{'n' * 63}{m}": "UTC" for m in (1, 2)}
        )
        for n in range(3)
    ]
    topics = {completed("acme", fold.into, NOW).topic for fold in planned(*long).folds if fold.rule == "habit"}
    assert len(topics) == 2


def test_a_later_one_takes_in_what_came_since() -> None:
    first = [failure(number, ago=timedelta(days=9)) for number in range(4)]
    (before,) = planned(*first).folds
    since = failure(20, ago=timedelta(days=2))
    (fold,) = planned(before.into, since).folds
    assert set(fold.removed) == {before.into.id, since.id}
    assert sorted(fold.into.provenance.folded_from) == sorted([*(one.id for one in first), since.id])
    assert "5 times between 2026-11-11" in fold.into.text


def test_what_a_kill_left_behind_is_removed_and_not_counted_twice() -> None:
    first = [failure(number, ago=timedelta(days=9)) for number in range(4)]
    (before,) = planned(*first).folds
    since = failure(20, ago=timedelta(days=2))
    (after,) = planned(before.into, since).folds
    # It was killed when `after` was kept and nothing was removed yet; and when the first of its sources was.
    for standing in ([*first, before.into, since, after.into], [first[2], since, after.into]):
        found = planned(*standing)
        assert not found.folds
        assert set(found.left) == {one.id for one in standing} - {after.into.id}


def test_the_plan_follows_from_the_records_alone() -> None:
    records = [failure(number, ago=timedelta(hours=30 + number)) for number in range(7)]
    records += [choice(number, "Europe/Berlin") for number in range(50, 54)]
    expected = planned(*records)
    for seed in range(5):
        assert planned(*random.Random(seed).sample(records, len(records))) == expected


def test_what_has_expired_is_let_go_and_not_folded() -> None:
    old = [failure(number) for number in range(3)]
    for one in old:
        one.expires_at.FromDatetime(NOW)
    later = failure(4)
    later.expires_at.FromDatetime(NOW + timedelta(seconds=1))
    found = planned(*old, later)
    assert set(found.expired) == {one.id for one in old}
    assert not found.folds


def test_a_habit_becomes_a_preference_and_leaves_what_it_was_seen_in() -> None:
    (fold,) = [fold for fold in planned(*(choice(n, "Europe/Berlin") for n in range(3))).folds if fold.rule == "habit"]
    assert fold.removed == ()
    assert fold.into.kind == KIND_PREFERENCE
    assert (list(fold.into.subjects), fold.into.topic) == (["ada@acme.example"], "calendar.schedule zone")
    assert "zone is Europe/Berlin" in fold.into.text


@pytest.mark.parametrize(
    "records",
    [
        [choice(0, "Europe/Berlin"), choice(1, "Europe/Berlin")],
        [choice(0, "Europe/Berlin"), choice(1, "Europe/Berlin"), choice(2, "Europe/Paris")],
        [choice(n, "Europe/Berlin", run="one-run") for n in range(3)],
        [choice(n, "Europe/Berlin", person=f"p{n}@acme.example") for n in range(3)],
        [choice(n, "Europe/Berlin", error="unavailable") for n in range(3)],
        [choice(n, "ada@acme.example") for n in range(3)],
    ],
    ids=["twice", "not always", "in one run", "of several people", "failed", "who it is"],
)
def test_what_is_no_habit(records: list[Record]) -> None:
    assert not [fold for fold in planned(*records).folds if fold.rule == "habit"]


def test_a_person_s_word_is_not_outvoted_by_a_habit() -> None:
    said = record(99, "Ada wants reviews in UTC.", kind=KIND_PREFERENCE, subjects=("ada@acme.example",))
    said.topic, said.trust = "calendar.schedule zone", TRUST_PERSON
    assert not [f for f in planned(said, *(choice(n, "Europe/Berlin") for n in range(3))).folds if f.rule == "habit"]


def test_a_habit_that_is_broken_is_withdrawn() -> None:
    berlin = [choice(n, "Europe/Berlin") for n in range(3)]
    (habit,) = [fold.into for fold in planned(*berlin).folds if fold.rule == "habit"]
    assert planned(*berlin, habit).withdrawn == ()
    assert planned(habit).withdrawn == (), "what it was seen in has expired"
    found = planned(*berlin, habit, choice(9, "Europe/Paris"))
    assert found.withdrawn == (habit.id,)
    assert not [fold for fold in found.folds if fold.rule == "habit"]


def test_the_shape_keeps_the_words() -> None:
    made = record(1, "Ada (ada@acme.example) got 3 mails at 10:30:01.", subjects=("ada",))
    assert shape(made) == "… … got … mails at …"


def test_what_does_not_matter_changes_no_plan() -> None:
    records = [
        *(failure(number) for number in range(5)),
        *(choice(10 + number, "UTC") for number in range(4)),
        record(20, "no procedure matched"),
        record(21, "A run ended.", kind=KIND_EPISODE),
        record(22, "A chapter.", kind=KIND_DOCUMENT, tool="x.y"),
        record(23, "Ada likes tea.", kind=KIND_PREFERENCE, ago=timedelta(0)),
        failure(24, ago=timedelta(hours=1)),
    ]
    records.append(planned(*records).folds[0].into)
    left = [one for one in records if matters("acme", one, NOW)]
    assert planned(*left) == planned(*records)
    assert {one.id for one in records} - {one.id for one in left} == {"r00020", "r00021", "r00022", "r00024"}


def booked(number: int, seat: str, *, ago: timedelta = 3 * DAY, run: str = "", **more: Any) -> Record:
    """Says the same whatever the seat is, so that it is folded with the others."""
    attributes: dict[str, Any] = {"tool": "flight.book", "arguments": {"seat": seat}, **more}
    return record(number, f"flight.book {number}.", subjects=("ada@acme.example",), ago=ago, run=run, **attributes)


def consolidated(standing: list[Record]) -> list[Record]:
    """What stands after a consolidation."""
    found = planned(*standing)
    gone = {*found.left, *found.withdrawn, *found.expired, *(i for fold in found.folds for i in fold.removed)}
    made = {fold.into.id: fold.into for fold in found.folds}
    return [*(one for one in standing if one.id not in gone and one.id not in made), *made.values()]


def habit_in(records: list[Record]) -> Record | None:
    return next((one for one in records if one.kind == KIND_PREFERENCE), None)


def test_a_habit_goes_on_counting_over_what_was_folded() -> None:
    standing = consolidated([booked(n, "window", ago=timedelta(days=9)) for n in range(3)])
    standing = consolidated([*standing, *(booked(n, "window") for n in range(3, 6))])
    habit = habit_in(standing)
    assert habit is not None and len(standing) == 2
    assert "seat is window (6 times between 2026-11-11 and 2026-11-17, never another)" in habit.text
    assert sorted(habit.provenance.folded_from) == [f"r{n:05}" for n in range(6)]
    assert not planned(*standing).folds, "it stands already"


def test_a_habit_goes_on_counting_over_what_has_expired() -> None:
    (habit,) = [one for one in consolidated([booked(n, "window", ago=9 * DAY) for n in range(3)]) if one.topic]
    again = habit_in(consolidated([habit, booked(3, "window"), booked(4, "window")]))
    assert again is not None and "(5 times between 2026-11-11" in again.text
    assert len(again.provenance.folded_from) == 5


def test_what_was_folded_still_speaks_against_a_habit() -> None:
    standing = consolidated([booked(n, "window", ago=9 * DAY) for n in range(3)])
    for _ in range(2):
        standing = consolidated([*standing, *(booked(n, "aisle") for n in range(3, 6))])
        assert habit_in(standing) is None
    standing = consolidated([*standing, *(booked(n, "aisle", ago=2 * DAY) for n in range(6, 9))])
    assert habit_in(standing) is None


def test_a_habit_may_form_from_what_was_folded_and_what_came_since() -> None:
    standing = consolidated([booked(n, "window", ago=9 * DAY, run="one-run") for n in range(3)])
    assert habit_in(standing) is None
    assert habit_in(consolidated([*standing, booked(3, "window", run="one-run")])) is None
    habit = habit_in(consolidated([*standing, booked(3, "window"), booked(4, "window")]))
    assert habit is not None and "(5 times" in habit.text and len(habit.provenance.folded_from) == 5


def test_what_is_not_known_makes_no_habit() -> None:
    many = [booked(n, "window", arguments={"seat": "window", f"a{n}": "x", f"b{n}": "x"}) for n in range(20)]
    standing = consolidated(many)
    assert habit_in([one for one in standing if one.kind == KIND_EPISODE]) is None
    (episode,) = [one for one in standing if one.kind == KIND_EPISODE]
    assert json.loads(episode.attributes_json)["choices"] is None
    assert habit_in(consolidated([episode, *(booked(n, "aisle") for n in range(20, 24))])) is None
