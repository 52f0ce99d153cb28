"""Which records are refused, and how the others are completed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import (
    KIND_DOCUMENT,
    KIND_EPISODE,
    KIND_OBSERVATION,
    KIND_PREFERENCE,
    KIND_THOUGHT,
    KIND_TOOL,
    TRUST_PERSON,
    TRUST_SYSTEM,
    Place,
    Record,
)
from factotum.memory.errors import InvalidRequest
from factotum.memory.kinds import RULES
from factotum.memory.records import check_claims_no_folding, completed, content_sha256
from factotum.sdk.characters import plain

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAN = '{"x": NaN}'


def record(**changes: Any) -> Record:
    return Record(**{"kind": KIND_DOCUMENT, "text": "text", **changes})


def test_a_record_gets_an_id_of_its_tenant_kind_and_text_and_a_time() -> None:
    first = completed("acme", record(), NOW)
    assert first.created_at.ToDatetime(tzinfo=UTC) == NOW
    assert first.attributes_json == "{}"
    assert first.id == completed("acme", record(run_id="r"), NOW).id
    others = [
        completed("globex", record(), NOW),
        completed("acme", record(kind=KIND_THOUGHT), NOW),
        completed("acme", record(text="other"), NOW),
    ]
    assert len({first.id, *(other.id for other in others)}) == 4


def test_what_the_caller_gave_is_kept() -> None:
    given = record(id="mine", attributes_json='{"a": [1, "é"]}')
    given.created_at.FromDatetime(datetime(2020, 1, 1, tzinfo=UTC))
    kept = completed("acme", given, NOW)
    assert (kept.id, kept.created_at, kept.attributes_json) == ("mine", given.created_at, '{"a":[1,"é"]}')


def test_what_was_left_out_follows_the_rule_of_the_kind() -> None:
    kept = completed("acme", record(kind=KIND_OBSERVATION), NOW)
    assert kept.expires_at.ToDatetime(tzinfo=UTC) == NOW + timedelta(days=30)
    assert (kept.trust, kept.importance) == (TRUST_SYSTEM, RULES["observation"].importance)
    assert not (kept.HasField("place") or kept.HasField("provenance") or kept.HasField("superseded_at"))
    assert not completed("acme", record(kind=KIND_DOCUMENT), NOW).HasField("expires_at")
    given = record(trust=TRUST_PERSON, importance=0.01, expires_at={"seconds": 5}, superseded_at={"seconds": 5})
    kept = completed("acme", given, NOW)
    assert (kept.trust, kept.importance, kept.expires_at.seconds) == (TRUST_PERSON, 0.01, 5)
    assert not kept.HasField("superseded_at"), "not taken from a caller"


def test_the_end_of_time_is_no_error() -> None:
    kept = completed("acme", record(kind=KIND_EPISODE, created_at={"seconds": 253_402_300_799}), NOW)
    assert kept.expires_at.ToDatetime().year == 9999


def test_subjects_are_in_lower_case_and_each_once() -> None:
    kept = completed("acme", record(subjects=[" Ada@Acme.Example ", "123", "ada@acme.example"]), NOW)
    assert list(kept.subjects) == ["ada@acme.example", "123"]


def test_times_are_whole_microseconds() -> None:
    kept = completed("acme", record(created_at={"seconds": 7, "nanos": 1_999}, expires_at={"nanos": 1}), NOW)
    assert (kept.created_at.nanos, kept.expires_at.nanos) == (1000, 0)


def test_the_id_follows_the_place_or_subjects_topic_and_text() -> None:
    def identity(**changes: Any) -> str:
        return completed("acme", record(**changes), NOW).id

    assert identity(subjects=["a", "b"]) == identity(subjects=["B", "a"]) != identity(subjects=["a"])
    assert identity(kind=KIND_PREFERENCE, topic="mail", text="yes") != identity(
        kind=KIND_PREFERENCE, topic="sms", text="yes"
    )
    turn = identity(place=Place(sequence="talk", position=3))
    assert turn == identity(place=Place(sequence="talk", position=3), text="corrected")
    assert turn != identity(place=Place(sequence="talk", position=4))
    assert turn != identity(place=Place(sequence="walk", position=3))


def test_the_hash_does_not_see_case_composed_characters_and_blanks() -> None:
    assert content_sha256("Caf\u00e9  closes\n at 5 ") == content_sha256("cafe\u0301 CLOSES at 5")
    assert content_sha256("closes at 5") != content_sha256("closes at 6")


@pytest.mark.parametrize("kind", [KIND_OBSERVATION, KIND_PREFERENCE])
def test_values_that_are_called_secrets_are_not_kept(kind: Any) -> None:
    given = '{"user": "ada", "api_key": "planted", "nested": [{"Access-Token": "planted"}]}'
    kept = completed("acme", record(kind=kind, text=given, attributes_json=given), NOW)
    assert kept.text == kept.attributes_json == '{"user":"ada","nested":[{}]}'
    assert completed("acme", kept, NOW) == kept
    for text in ('{"user": "ada"}', '{"token": broken', "[" * 8000 + '"token"', "the token is planted"):
        assert completed("acme", record(kind=kind, text=text), NOW).text == text


def test_what_is_published_may_describe_a_token() -> None:
    schema = '{"properties":{"token":{"type":"string"}}}'
    kept = completed("acme", record(kind=KIND_TOOL, text=schema, attributes_json=schema), NOW)
    assert kept.text == kept.attributes_json == schema


def test_characters_that_steer_are_left_out_of_what_people_wrote() -> None:
    kept = completed(
        "acme",
        record(
            text="\x1b[31mred\x1b[0m\0 \u202ealert\r\n",
            topic="Mail\x07 \u2066settings",
            place={"sequence": "talk", "speaker": "Ada\x1b[2J\nLovelace"},
            provenance={"section": "A >\x85 B"},
        ),
        NOW,
    )
    assert (kept.text, kept.topic) == ("red alert\n", "mail settings")
    assert (kept.place.speaker, kept.provenance.section) == ("Ada Lovelace", "A >  B")
    assert kept.content_sha256 == content_sha256("red alert")
    assert completed("acme", kept, NOW) == kept
    assert kept.id == completed("acme", record(text="corrected", place={"sequence": "talk"}), NOW).id


@given(
    text=st.text(min_size=1, max_size=50).filter(lambda text: plain(text).strip()),
    subjects=st.lists(st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20).filter(str.strip)),
    topic=st.text(st.characters(exclude_categories=["C"]), max_size=20),
)
def test_what_is_complete_is_not_changed(text: str, subjects: list[str], topic: str) -> None:
    once = completed("acme", record(kind=KIND_PREFERENCE, text=text, subjects=subjects[:32], topic=topic), NOW)
    assert completed("acme", once, NOW + timedelta(days=1)) == once


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trust": 9}, "trust: 9"),
        ({"importance": 1.01}, "importance"),
        ({"importance": -0.1}, "importance"),
        ({"importance": float("nan")}, "importance"),
        ({"subjects": ["a", " "]}, r"subjects\[1\]"),
        ({"subjects": ["x" * 257]}, "256"),
        ({"subjects": ["a\nb"]}, "control"),
        ({"subjects": [str(n) for n in range(33)]}, "33 are more than 32"),
        ({"topic": "x" * 257}, "topic"),
        ({"expires_at": {"seconds": 10**12}}, "expires_at"),
        ({"place": {"position": 1}}, "place.sequence"),
        ({"place": {"sequence": "x" * 513}}, "place.sequence"),
        ({"place": {"sequence": "x", "speaker": "x" * 129}}, "place.speaker"),
        ({"provenance": {"document_version": "a" * 64}}, "provenance.document"),
        ({"provenance": {"document": "file:a", "document_version": "v1"}}, "provenance.document_version"),
        ({"provenance": {"section": "x" * 1025}}, "provenance.section"),
        ({"provenance": {"person": "x" * 257}}, "provenance.person"),
        ({"provenance": {"step": "x" * 1025}}, "provenance.step"),
        ({"provenance": {"folded_from": ["x"] * 1001}}, "folded_from"),
        ({"provenance": {"folded_from": ["x", "x" * 129]}}, r"folded_from\[1\]"),
        ({"provenance": {"folded_from": ["x" * 128] * 400}}, "provenance: "),
        ({"kind": 0}, "kind"),
        ({"kind": 99}, "kind"),
        ({"text": " \n"}, "text"),
        ({"text": "é" * 4097}, "8194 bytes"),
        ({"id": "x" * 129}, "id"),
        ({"text": "\0\x1b[0m"}, "text: must not be blank"),
        ({"id": "a\nb"}, "id"),
        ({"id": "a\x9bb"}, "id: must not hold control"),
        ({"id": "a\u202eb"}, "id: must not hold control"),
        ({"subjects": ["a\x85b"]}, r"subjects\[0\]: must not hold control"),
        ({"provenance": {"document": "file:\x1b"}}, "provenance.document: must not hold control"),
        ({"origin": "x" * 1025}, "origin"),
        ({"run_id": 'r" or "1" == "1'}, "run_id"),
        ({"run_id": "r\\"}, "run_id"),
        ({"run_id": "x" * 257}, "run_id"),
        ({"attributes_json": "[]"}, "object"),
        ({"attributes_json": "{"}, "not JSON"),
        ({"attributes_json": NAN}, "finite"),
        ({"attributes_json": '{"x": 1e999}'}, "finite"),
        ({"attributes_json": '{"x": 9223372036854775808}'}, "64 bits"),
        ({"attributes_json": '{"x": "\\ud800"}'}, "surrogate"),
        ({"attributes_json": '{"x":' + "[" * 20 + "]" * 20 + "}"}, "nested"),
        ({"attributes_json": '{"x":' + "[" * 100_000 + "]" * 100_000 + "}"}, "attributes_json"),
        ({"attributes_json": '{"x": "' + "y" * 33_000 + '"}'}, "bytes"),
        ({"created_at": {"seconds": 10**12}}, "created_at"),
        ({"created_at": {"nanos": -1}}, "created_at"),
    ],
)
def test_a_record_that_breaks_the_contract_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        completed("acme", record(**changes), NOW)


@pytest.mark.parametrize("tenant", ["", "Acme", 'a"b', "a\\", "acme\n", "-a", "a" * 64, "a or b"])
def test_a_tenant_that_is_none_is_refused(tenant: str) -> None:
    with pytest.raises(InvalidRequest, match="tenant"):
        completed(tenant, record(), NOW)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"provenance": {"folded_from": ["x"]}}, "provenance.folded_from"),
        ({"attributes_json": '{"folded": "habit"}'}, "attributes_json"),
        ({"attributes_json": '{"folded": null}'}, "attributes_json"),
    ],
)
def test_nobody_but_a_consolidation_says_what_something_was_made_from(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^records\[3\]\.{field}: only a consolidation"):
        check_claims_no_folding(Record(**fields), "records[3]")


@pytest.mark.parametrize("attributes", ["", "{}", '{"shirts": {"folded": 3}}', "no JSON", "3", "[]"])
def test_other_attributes_are_looked_at_elsewhere(attributes: str) -> None:
    check_claims_no_folding(Record(attributes_json=attributes), "records[0]")
