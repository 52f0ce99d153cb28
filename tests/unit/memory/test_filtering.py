"""Which records the write filter refuses, and why."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from factotum.api.memory.v1.memory_pb2 import (
    KIND_DOCUMENT,
    KIND_EPISODE,
    KIND_OBSERVATION,
    KIND_PREFERENCE,
    KIND_THOUGHT,
    KIND_TOOL,
    TRUST_MODEL,
    TRUST_PERSON,
    Record,
)
from factotum.memory.filtering import Refusal, refusal, said
from factotum.memory.records import completed

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TEXT = "The cafeteria serves lunch between noon and two."


def record(now: datetime = NOW, **changes: Any) -> Record:
    return completed("acme", Record(**{"kind": KIND_DOCUMENT, "text": TEXT, **changes}), now)


def refused(it: Record, *, given_out: bool = False) -> Refusal | None:
    return refusal(it, now=NOW, given_out=lambda text: given_out)


def test_what_is_worth_keeping_passes() -> None:
    assert refused(record()) is None


def test_what_has_expired_does_not_begin_to_be_kept() -> None:
    old = NOW - timedelta(days=30)
    assert refused(record(old, kind=KIND_OBSERVATION)) is Refusal.EXPIRED
    assert refused(record(old + timedelta(seconds=1), kind=KIND_OBSERVATION)) is None
    assert refused(record(expires_at={"seconds": int(NOW.timestamp())})) is Refusal.EXPIRED


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (KIND_DOCUMENT, "ab", Refusal.TOO_SHORT),
        (KIND_DOCUMENT, "a-b!", Refusal.TOO_SHORT),
        (KIND_DOCUMENT, "abc", None),
        (KIND_TOOL, "?!", Refusal.TOO_SHORT),
        (KIND_TOOL, "no", None),
        (KIND_PREFERENCE, "…", Refusal.TOO_SHORT),
        (KIND_PREFERENCE, "7", None),
        (KIND_DOCUMENT, "4711", Refusal.NOISE),
        (KIND_OBSERVATION, "ha ha ha", Refusal.NOISE),
        (KIND_OBSERVATION, '{"status": "ok"}', Refusal.EMPTY),
        (KIND_OBSERVATION, "None", Refusal.EMPTY),
        (KIND_PREFERENCE, "none", None),
        (KIND_PREFERENCE, "null", Refusal.EMPTY),
    ],
)
def test_too_short_and_noise(kind: Any, text: str, reason: Refusal | None) -> None:
    assert refused(record(kind=kind, text=text)) is reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Heartbeat OK", Refusal.IDLE),
        ("HEARTBEAT_OK", Refusal.IDLE),
        ("NO_REPLY", Refusal.IDLE),
        ("ok thanks", Refusal.IDLE),
        ("The user said hello.", Refusal.IDLE),
        ("You are a helpful assistant.", Refusal.IDLE),
        ("Processing request, please wait", Refusal.IDLE),
        ("User has no preferences recorded", Refusal.IDLE),
        ("asdkjh qwlekj zxmcn", Refusal.NOISE),
        ("Heartbeat of node 3 is late", None),
        ("No reply from the supplier since Monday", None),
        ("The user said hello to Grace at the fair.", None),
        ("User has no preferences but the window seat", None),
        ("Processing request 4711 failed, please wait for Ada", None),
        ("Kjenner hjemmet, kjeft", None),
        ("čtvrt zmrzl strč prst skrz krk", None),
        ("qwerty keyboards were ordered", None),
        ("Danke schön", None),
        ("Alles erledigt", None),
    ],
)
def test_a_model_s_idle_words(text: str, reason: Refusal | None) -> None:
    assert refused(record(kind=KIND_THOUGHT, text=text, trust=TRUST_MODEL)) is reason
    assert refused(record(kind=KIND_THOUGHT, text=text, trust=TRUST_PERSON)) is None
    said = {"sequence": "talk", "position": 1, "speaker": "bot"}
    assert refused(record(text=text, trust=TRUST_MODEL, place=said)) is None


def test_none_may_be_what_somebody_answered() -> None:
    assert refused(record(text="None.")) is Refusal.EMPTY
    assert refused(record(text="None.", place={"sequence": "talk", "position": 1, "speaker": "Ada"})) is None


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ('{"tool": "mail.poll", "effect": "none"}', Refusal.EMPTY),
        ('{"tool": "mail.poll", "effect": "irreversible"}', None),
        ('{"tool": "mail.poll"}', None),
        ('{"tool": "mail.poll", "effect": "none", "error": "unavailable"}', None),
    ],
)
def test_a_look_at_nothing_is_not_kept_but_what_was_done_is(attributes: str, reason: Refusal | None) -> None:
    text = "mail.poll. Answered: nothing."
    assert refused(record(kind=KIND_OBSERVATION, text=text, attributes_json=attributes)) is reason
    assert refused(record(kind=KIND_DOCUMENT, text=text, attributes_json=attributes)) is None


def test_what_says_that_it_was_recalled() -> None:
    assert refused(record(attributes_json='{"tool": "memory.recall"}')) is Refusal.RECALLED
    assert refused(record(attributes_json='{"recalled": true}')) is Refusal.RECALLED
    assert refused(record(attributes_json='{"tool": "memoryless.call", "recalled": false}')) is None
    assert refused(record(attributes_json='{"tool": 7}')) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trust": TRUST_MODEL}, Refusal.RECALLED),
        ({"trust": TRUST_MODEL, "kind": KIND_PREFERENCE}, Refusal.RECALLED),
        ({"kind": KIND_THOUGHT}, Refusal.RECALLED),
        ({"kind": KIND_EPISODE}, Refusal.RECALLED),
        ({"kind": KIND_EPISODE, "run_id": "acme.x.1"}, None),  # told by what happened
        ({"kind": KIND_EPISODE, "run_id": "acme.x.1", "trust": TRUST_MODEL}, Refusal.RECALLED),
        ({"kind": KIND_DOCUMENT}, None),
        ({"kind": KIND_THOUGHT, "trust": TRUST_PERSON}, None),
    ],
)
def test_who_may_repeat_what_was_recalled(changes: dict[str, Any], reason: Refusal | None) -> None:
    assert refused(record(**changes), given_out=True) is reason
    assert refused(record(**changes), given_out=False) is None


def test_the_same_is_said_whatever_the_id_case_and_order_of_subjects() -> None:
    first = record(id="a", subjects=["x", "y"])
    assert said(first) == said(record(id="b", subjects=["Y", "x"], text=TEXT.upper()))
    for text in (TEXT.rstrip("."), TEXT.replace(".", "!"), f'"{TEXT}"', TEXT.replace(" between", ", between")):
        assert said(first) == said(record(id="b", subjects=["x", "y"], text=text))
    others = [
        record(id="b", subjects=["x"]),
        record(id="b", subjects=["x", "y"], text="other"),
        record(id="b", subjects=["x", "y"], text=TEXT.replace(".", "?")),
        record(id="b", subjects=["x", "y"], kind=KIND_TOOL),
        record(id="b", subjects=["x", "y"], topic="t"),
        record(id="b", subjects=["x", "y"], run_id="acme.x.1"),
    ]
    assert said(first) not in list(map(said, others))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": KIND_OBSERVATION},
        {"place": {"sequence": "talk", "position": 1}},
        {"provenance": {"document": "file:a"}},
    ],
)
def test_events_and_what_has_a_place_are_never_the_same(changes: dict[str, Any]) -> None:
    assert said(record(**changes)) is None
