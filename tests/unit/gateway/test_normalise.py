import json
from typing import Any

import pytest
from pydantic import ValidationError

from factotum.gateway.errors import Malformed, Reserved, WrongTenant
from factotum.gateway.normalise import bamboohr, cloudevents, standard

ENTRY = {
    "id": "7",
    "action": "Updated",
    "timestamp": "2026-11-24T09:00:00Z",
    "changedFields": ["status"],
    "fields": {"status": "Inactive", "id": "99"},
}


def of(*entries: dict[str, Any]) -> list[Any]:
    return list(bamboohr.events({"employees": list(entries)}, source="/hooks/hr", tenant="acme"))


@pytest.mark.parametrize(
    ("change", "happening"),
    [
        ({"action": "Created"}, "created"),
        ({"action": "Deleted"}, "deleted"),
        ({}, "terminated"),
        ({"changedFields": ["jobTitle"]}, "updated"),
        ({"fields": {"status": "Active"}}, "updated"),
        ({"action": "Created", "fields": {"status": "Inactive"}}, "created"),
    ],
)
def test_bamboohr_types(change: dict[str, Any], happening: str) -> None:
    [event] = of({**ENTRY, **change})
    assert event.type == f"com.bamboohr.employee.{happening}"


def test_bamboohr_event() -> None:
    [event] = of(ENTRY)
    assert (event.tenant, event.source, event.subject) == ("acme", "/hooks/hr", "7")
    assert event.time is not None and event.time.isoformat() == "2026-11-24T09:00:00+00:00"
    assert event.data == {
        "employee": {"id": "7", "status": "Inactive"},
        "action": "Updated",
        "changedFields": ["status"],
    }


def test_bamboohr_id_is_the_entrys() -> None:
    [event] = of(ENTRY)
    [reordered] = of(dict(reversed(ENTRY.items())))
    assert event.id == reordered.id and len(event.id) == 32
    [other] = of({**ENTRY, "timestamp": "2026-11-24T09:00:01Z"})
    assert other.id != event.id
    assert [it.id for it in of(ENTRY, {**ENTRY, "id": "8"})] == [event.id, of({**ENTRY, "id": "8"})[0].id]


@pytest.mark.parametrize("given", ["7", 7, " 7\n"])
def test_bamboohr_employee_is_text_without_blanks_around_it(given: Any) -> None:
    [event] = of({**ENTRY, "id": given})
    assert event.subject == event.data["employee"]["id"] == "7"


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"employees": []},
        {"employees": {}},
        {"employees": [1]},
        {"employees": [{}]},
        {"employees": [{**ENTRY, "action": "Eaten"}]},
        {"employees": [{**ENTRY, "id": ""}]},
        {"employees": [{**ENTRY, "id": "a\x00"}]},
        {"employees": [{**ENTRY, "id": None}]},
        {"employees": [{**ENTRY, "id": True}]},
        {"employees": [{**ENTRY, "id": 7.0}]},
        {"employees": [{**ENTRY, "id": "  "}]},
        {"employees": [{**ENTRY, "timestamp": 1700000000}]},
        {"employees": [{**ENTRY, "timestamp": "1700000000"}]},
        {"employees": [{**ENTRY, "timestamp": ""}]},
        {"employees": [{**ENTRY, "changedFields": [1]}]},
        {"employees": [{**ENTRY, "timestamp": "2026-11-24T09:00:00"}]},
        {"employees": [ENTRY, {**ENTRY, "fields": []}]},
    ],
    ids=repr,
)
def test_bamboohr_refuses(payload: Any) -> None:
    with pytest.raises(ValidationError):
        list(bamboohr.events(payload, source="/hooks/hr", tenant="acme"))


def test_bamboohr_fault_names_its_entry() -> None:
    with pytest.raises(ValidationError) as refused:
        of(ENTRY, {**ENTRY, "action": "Eaten"})
    assert refused.value.errors()[0]["loc"][0] == 1


def test_standard_event() -> None:
    payload = {"type": "t", "timestamp": "2026-11-24T09:00:00Z", "data": {"a": 1}}
    [event] = standard.events(payload, source="/hooks/b", tenant="acme", message_id="msg")
    assert (event.id, event.type, event.data, event.tenant) == ("msg", "t", {"a": 1}, "acme")
    assert event.time is not None
    [whole] = standard.events({"type": "t", "b": 2}, source="/hooks/b", tenant="acme", message_id="msg")
    assert whole.data == {"type": "t", "b": 2} and whole.time is None


@pytest.mark.parametrize("payload", [None, [], "t", {}, {"type": 1}, {"type": ""}, {"type": None}], ids=repr)
def test_standard_refuses(payload: Any) -> None:
    with pytest.raises(ValidationError):
        list(standard.events(payload, source="/hooks/b", tenant="acme", message_id="msg"))


EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BINARY = {f"ce-{name}": value for name, value in EVENT.items()}


def structured(**changes: Any) -> Any:
    [event] = cloudevents.events(STRUCTURED, json.dumps({**EVENT, **changes}).encode(), tenant="acme")
    return event


def binary(body: bytes = b"", **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    [event] = cloudevents.events({**BINARY, **given}, body, tenant="acme")
    return event


def test_tenant_is_the_tokens() -> None:
    assert structured().tenant == structured(tenant="acme").tenant == binary(ce_tenant="acme").tenant == "acme"
    for refused in ("globex", "", 1, True):
        with pytest.raises(WrongTenant):
            structured(tenant=refused)
    with pytest.raises(WrongTenant):
        binary(ce_tenant="globex")


def test_what_only_webhooks_and_factotum_may_say_is_refused() -> None:
    for changes in (
        {"source": "/hooks/bamboohr"},
        {"source": "/hooks/"},
        {"type": "dev.factotum.outcome.v1"},
        {"type": "dev.factotum."},
    ):
        with pytest.raises(Reserved, match="name another one"):
            structured(**changes)
    with pytest.raises(Reserved):
        binary(ce_source="%2Fhooks/bamboohr")
    headers = {"content-type": cloudevents.BATCH_CONTENT_TYPE}
    with pytest.raises(Reserved):
        list(cloudevents.events(headers, json.dumps([EVENT, {**EVENT, "source": "/hooks/x"}]).encode(), tenant="acme"))
    for changes in ({"source": "/hook"}, {"source": "https://acme.example/hooks/x"}, {"type": "dev.factotumx"}):
        assert structured(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"data_base64": "AA=="},
        {"specversion": "0.3"},
        {"specversion": None},
        {"id": 1},
        {"id": ""},
        {"time": "1700000000"},
        {"time": 1700000000},
        {"time": "yesterday"},
        {"time": "2026-11-24T09:00:00"},
        {"Upper": "x"},
        {"ext": 1.5},
        {"ext": []},
    ],
    ids=repr,
)
def test_structured_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises((Malformed, ValidationError)):
        structured(**changes)


def test_null_attribute_is_an_absent_one() -> None:
    assert structured(subject=None, ext=None).extensions == {}


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/vnd.x+json; charset=utf-8", b"[1]", [1]),
        ("", b"1", 1),
        ("text/plain", b'{"a": 1}', '{"a": 1}'),
        ("application/xml", "<ü/>".encode(), "<ü/>"),
    ],
)
def test_binary_data(content_type: str, body: bytes, data: Any) -> None:
    assert binary(body, content_type=content_type).data == data


def test_binary_refuses_what_it_cannot_keep() -> None:
    with pytest.raises(Malformed):
        binary(b"\xff", content_type="application/octet-stream")
    with pytest.raises(Malformed):
        binary(b"{", content_type="application/json")
    for name in ("ce_data", "ce_datacontenttype", "ce_data_base64"):
        with pytest.raises((Malformed, ValidationError)):
            binary(**{name: "x"})


def test_binary_headers_are_decoded_once() -> None:
    assert binary(ce_subject="Zo%C3%AB%20100%2525").subject == "Zoë 100%25"
    assert binary(ce_subject='"a \\"b\\""').subject == 'a "b"'
    for value in ("%FF", "\xff", "%00", "%ED%A0%80"):
        with pytest.raises((Malformed, ValidationError)):
            binary(ce_subject=value)


def test_neither_mode_is_malformed() -> None:
    for content_type in ("application/json", "", "application/cloudevents+xml", "application/cloudevents"):
        with pytest.raises(Malformed):
            list(cloudevents.events({"content-type": content_type}, b"{}", tenant="acme"))


def test_batch() -> None:
    headers = {"content-type": cloudevents.BATCH_CONTENT_TYPE}
    body = json.dumps([EVENT, {**EVENT, "id": "2"}]).encode()
    assert [event.id for event in cloudevents.events(headers, body, tenant="acme")] == ["1", "2"]
    with pytest.raises(Malformed):
        list(cloudevents.events(headers, json.dumps(EVENT).encode(), tenant="acme"))


@pytest.mark.parametrize("given", ["ada", "", None])
def test_whom_an_event_is_for_says_the_token_and_not_the_sender(given: str | None) -> None:
    body = json.dumps(EVENT).encode()
    [event] = cloudevents.events(STRUCTURED, body, tenant="acme", user="ada")
    assert event.extensions["factotumuser"] == "ada"
    [event] = cloudevents.events(STRUCTURED, body, tenant="acme")
    assert "factotumuser" not in event.extensions
    claimed = json.dumps({**EVENT, "factotumuser": given}).encode()
    if given is not None:
        with pytest.raises(Reserved, match="not the sender's"):
            list(cloudevents.events(STRUCTURED, claimed, tenant="acme", user="bob"))
        with pytest.raises(Reserved):
            list(cloudevents.events({**BINARY, "ce-factotumuser": given}, b"{}", tenant="acme"))
