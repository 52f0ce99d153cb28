"""Which records are refused, and how the others are completed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from factotum.api.memory.v1.memory_pb2 import KIND_DOCUMENT, KIND_THOUGHT, Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.records import completed

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


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": 0}, "kind"),
        ({"kind": 99}, "kind"),
        ({"text": " \n"}, "text"),
        ({"text": "é" * 4097}, "8194 bytes"),
        ({"id": "x" * 129}, "id"),
        ({"id": "a\nb"}, "id"),
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
