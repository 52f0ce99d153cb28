"""Tools are made of an OpenAPI document's operations: which, under what names and versions, on what terms."""

from __future__ import annotations

import sys
from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from factotum.connectors.protocols import openapi_schema
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.schema_model import schema_model
from factotum.tool_executor.sources.openapi.config import OpenapiConfig
from factotum.tool_executor.sources.openapi.selection import snake
from factotum.tool_executor.sources.openapi.source import OpenapiSource
from factotum.tool_executor.sources.source import SourceInvalid
from tests.support.openapi_source import SURROUNDINGS, offered, specs
from tests.support.parcels import DOCUMENT

AUTH = {"bearer": {"token": "secret://t"}, "inQuery": {"token": "secret://t"}}
OAUTH = {"oauth": {"client_id": "c", "client_secret": "secret://c"}}
BY_HEADER = {"key_header": "Idempotency-Key"}
BY_LIST = {"reconcile": {"operation": "parcels/list", "match": {"tags": "{$key}"}}}
HERE = {"base_url": "https://parcels.example", "auth": {**AUTH, **OAUTH}}


def document(**operation: Any) -> dict[str, Any]:
    """One operation, `POST /things`."""
    given = {"operationId": "make", "responses": {"201": {"description": "made"}}, **operation}
    return {"openapi": "3.1.0", "info": {"version": "1.2"}, "paths": {given.pop("path", "/things"): {"post": given}}}


def test_nothing_is_taken_that_is_not_named() -> None:
    with pytest.raises(SourceInvalid, match="no operations are taken"):
        offered(DOCUMENT, **HERE, operations=[])


@pytest.mark.parametrize(
    ("operations", "names"),
    [
        (["parcels/get"], ["parcels_get"]),
        (["parcels/*"], [f"parcels_{name}" for name in ("amend", "create", "delete", "get", "list", "replace")]),
        (["*"], ["label", "read_log", "search_parcels"]),
        (["tag:reading"], ["parcels_get", "parcels_list"]),
        (["GET /parcels"], ["parcels_list"]),
        (["GET /parcels/*"], ["parcels_get"]),
        (["get /**"], ["get_label_id", "parcels_get", "parcels_list", "read_log", "search_parcels"]),
        (["* /label/{id}"], ["get_label_id", "label"]),
    ],
)
def test_operations_are_named_by_id_tag_or_method_and_path(operations: list[str], names: list[str]) -> None:
    assert sorted(specs(offered(DOCUMENT, **HERE, operations=operations))) == names


def test_some_can_be_left_out() -> None:
    assert sorted(specs(offered(DOCUMENT, **HERE, operations=["tag:writing"], without=["parcels/d*"]))) == [
        "parcels_create",
        "parcels_replace",
    ]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"operations": ["parcel/*"]}, "no operation 'parcel/[*]'"),
        ({"operations": ["p*"]}, "no operation 'p[*]': [*] ends at a slash, so write 'p[*][*]'"),
        ({"without": ["parcels/nothing"]}, "no operation 'parcels/nothing'"),
        ({"terms": {"parcels/mace": {"effect": "none"}}}, "terms are given for 'parcels/mace'"),
        ({"operations": ["parcels/get"], "paging": {"parcels/list": {"style": "link"}}}, "paging are given for"),
        ({"auth": {}}, "parcels/list: it needs credentials .* both and key; or bearer"),
        ({"auth": {"bearer": {"username": "x"}}}, "auth.bearer is sent as bearer and needs token"),
        ({"base_url": ""}, "https://eu.parcels.example:443, which may not be reached: add it to allow"),
        ({"terms": {"parcels/*": BY_HEADER, "parcels/amend": BY_LIST}}, "need not be asked"),
        ({"terms": {"parcels/get": {"name": "parcels_list"}}}, "two operations would be things.parcels_list"),
        ({"terms": {"parcels/get": {"compensation": {"call": "a.b"}}}}, "there is nothing that a.b could take back"),
    ],
)
def test_a_mistake_is_said(config: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceInvalid, match=words):
        offered(DOCUMENT, **{**HERE, **config})


def test_servers_have_variables() -> None:
    given = {**HERE, "base_url": "", "allow": ["https://us.parcels.example"], "server_variables": {"region": "us"}}
    assert specs(offered(DOCUMENT, **given))
    with pytest.raises(SourceInvalid, match=r"eu\.parcels\.example"):
        offered(DOCUMENT, **{**given, "server_variables": {}})


def test_what_an_operation_does_follows_from_its_method() -> None:
    made = specs(offered(DOCUMENT, **HERE))
    assert {name: (spec.effect, spec.idempotency) for name, spec in made.items() if name.startswith("parcels")} == {
        "parcels_list": (Effect.NONE, Idempotency.NATIVE),
        "parcels_get": (Effect.NONE, Idempotency.NATIVE),
        "parcels_create": (Effect.CREATE, Idempotency.NONE),
        "parcels_replace": (Effect.UPDATE, Idempotency.NATIVE),
        "parcels_amend": (Effect.UPDATE, Idempotency.NONE),
        "parcels_delete": (Effect.DELETE, Idempotency.NATIVE),
    }
    create = made["parcels_create"]
    assert (create.description, create.needed_permissions) == ("Take a parcel in", ("things.create",))
    assert {"conflict", "unavailable"} <= set(create.errors)
    assert (create.input_schema["required"], create.input_schema["additionalProperties"]) == (["body"], False)
    assert create.output_schema["properties"]["status"] == {"enum": [201]}
    assert create.output_schema["required"] == ["status", "body"]
    assert sorted(create.output_schema["$defs"]) == ["Parcel", "Ship", "Van"]


def test_terms_are_the_operators() -> None:
    terms = {
        "parcels/*": {"timeout_seconds": 5, "permissions": ["parcels.use"]},
        "parcels/create": {
            "name": "take_in",
            "description": "Take in",
            "effect": "send",
            "key_header": "Idempotency-Key",
            "compensation": {"call": "things.parcels_delete", "arguments": {"id": "${ .body.id }"}},
            "rate_limit": {"calls": 2, "seconds": 1},
            "concurrency": 1,
        },
        "parcels/amend": {
            "reconcile": {
                "operation": "parcels/list",
                "match": {"tags": "{$key}"},
                "lag_seconds": 30,
            },
            "mark": {"body.tags": ["{$key}"]},
        },
    }
    made = specs(offered(DOCUMENT, **HERE, terms=terms))
    take_in, amend = made["take_in"], made["parcels_amend"]
    assert (take_in.effect, take_in.idempotency, take_in.timeout_seconds) == (Effect.SEND, Idempotency.NATIVE, 5)
    assert (take_in.permissions, take_in.concurrency, take_in.description) == (("parcels.use",), 1, "Take in")
    assert take_in.compensation is not None and take_in.rate_limit is not None
    assert (amend.idempotency, amend.timeout_seconds) == (Idempotency.RECONCILE, 35)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"key_header": "X", "idempotency": "none"}, "native"),
        ({"idempotency": "reconcile"}, "needs reconcile"),
        ({"mark": {"body.tags": ["{$key}"]}}, "a mark is for reconcile"),
        ({"reconcile": {"operation": "x", "match": {"label": "{body.label}"}}}, "may be another's"),
        ({"reconcile": {"operation": "x", "arguments": {"q": "{$key}"}}}, "say by match or contains"),
        ({"key_header": "X", "reconcile": {"operation": "x", "match": {"a": "{$key}"}}}, "need not be asked"),
    ],
)
def test_terms_that_would_not_hold_are_refused(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        OpenapiConfig.model_validate({"terms": {"a": terms}})


def test_an_effect_is_not_asked_for_by_another_effect() -> None:
    lookup = {"operation": "parcels/replace", "match": {"tags": "{$key}"}}
    with pytest.raises(SourceInvalid, match="which is no read"):
        offered(DOCUMENT, **HERE, terms={"parcels/create": {"reconcile": lookup}})


def test_what_is_given_otherwise_is_no_argument() -> None:
    terms = {
        "parcels/amend": {"key_argument": "body.label"},
        "parcels/list": {"paging": {"style": "page", "parameter": "page"}},
    }
    made = specs(offered(DOCUMENT, **HERE, terms=terms, headers={"x-printer": "p1"}))
    assert sorted(made["parcels_list"].input_schema["properties"]) == ["color", "per_page"]
    inline = {
        "content": {"application/json": {"schema": {"properties": {"from": {}, "jql": {}}, "required": ["from"]}}}
    }
    by_body = {"make": {"style": "offset", "parameter": "body.from"}}
    (paged,) = specs(offered(document(requestBody=inline), base_url="https://a.example", paging=by_body)).values()
    assert paged.input_schema["properties"]["body"] == {"properties": {"jql": {}}, "required": []}
    assert made["parcels_list"].output_schema["required"] == ["status", "body", "complete"]
    assert sorted(made["get_label_id"].input_schema["properties"]) == ["id"]
    assert "X-Printer" in specs(offered(DOCUMENT, **HERE))["get_label_id"].input_schema["required"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("issues/create", "issues_create"),
        ("listPetsByID", "list_pets_by_id"),
        ("Server.getURLs", "server_get_urls"),
        ("get /repos/{owner}/{repo}", "get_repos_owner_repo"),
        ("2fa-check", "op_2fa_check"),
        ("Pet.v2_find", "pet_v2_find"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert snake(text) == name


def test_operations_that_would_have_one_name_are_told_apart_whichever_are_taken() -> None:
    api: dict[str, Any] = {"openapi": "3.0.0", "servers": [{"url": "https://a.example"}], "paths": {}}
    for path, name in (("/a", "make-it"), ("/b", "makeIt"), ("/c", "make")):
        api["paths"][path] = {"get": {"operationId": name, "responses": {}}}
    names = sorted(specs(offered(api, base_url="https://a.example")))
    assert names[0] == "make" and all(name.startswith("make_it_") for name in names[1:]) and len(set(names)) == 3
    (name,) = specs(offered(api, base_url="https://a.example", operations=["makeIt"]))
    assert name in names[1:]


def changed(**changes: Any) -> str:
    """The major version of parcels/create with another schema of parcels."""
    api = deepcopy(DOCUMENT)
    for place, value in changes.items():
        node, *path = [api["components"]["schemas"]["Parcel"], *place.split("__")]
        for name in path[:-1]:
            node = node[name]
        node[path[-1]] = value
    return specs(offered(api, **HERE))["parcels_create"].version.partition(".")[0]


def test_the_major_version_is_of_what_plans_rely_on() -> None:
    first = specs(offered(DOCUMENT, **HERE))["parcels_create"].version
    assert first.endswith(".2.4") and specs(offered(deepcopy(DOCUMENT), **HERE))["parcels_create"].version == first
    same = changed()
    assert first.startswith(f"{same}.")
    assert changed(description="Words", properties__label__description="Words") == same
    assert changed(properties__label__minLength=2) != same
    assert changed(properties__weight__type="string") != same
    assert changed(required=["id", "label", "color"]) != same
    read = specs(offered(DOCUMENT, **HERE))["parcels_get"].version
    wider = deepcopy(DOCUMENT)
    wider["components"]["schemas"]["Parcel"]["properties"]["shelf"] = {"type": "string"}
    assert specs(offered(wider, **HERE))["parcels_get"].version == read, "an answer may grow"
    assert specs(offered(DOCUMENT, **HERE, terms={"parcels/get": {"effect": "send"}}))["parcels_get"].version != read


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"requestBody": {"content": {"multipart/form-data": {}}}}, "make: its body is multipart/form-data"),
        ({"parameters": [{"in": "query"}]}, "make is not described as OpenAPI has it .*KeyError"),
        ({"parameters": [{"$ref": "other.yaml"}]}, "make: the document refers to other.yaml"),
        ({"requestBody": {"content": {"application/json": {"schema": {"type": "map"}}}}}, "make: `type: map`"),
        ({"responses": {"200": {"content": {"application/json": {"schema": 7}}}}}, "make: a schema is an object"),
        ({"security": [{"unknown": []}]}, "make: it needs credentials"),
        ({"path": "/things/{id}"}, "make: its path has id, which is no parameter"),
    ],
)
def test_what_cannot_be_called_is_said_and_can_be_left_out(operation: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceInvalid, match=words):
        offered(document(**operation), base_url="https://a.example")


def test_all_that_cannot_be_taken_is_said_at_once() -> None:
    bad = {"requestBody": {"content": {"multipart/form-data": {}}}, "responses": {}}
    api: dict[str, Any] = {
        "openapi": "3.0.0",
        "paths": {f"/{n}": {"post": {"operationId": f"o{n}", **bad}} for n in range(12)},
    }
    with pytest.raises(SourceInvalid, match=r"o0: its body .*; o9: its body .*; and 2 more\. .* by `without`"):
        offered(api, base_url="https://a.example")


def test_a_document_without_an_address_needs_one() -> None:
    with pytest.raises(SourceInvalid, match="set base_url"):
        offered(document())


async def test_a_document_is_json_or_yaml_of_version_3() -> None:
    source = OpenapiSource()
    read = await source.read(OpenapiConfig(), b"openapi: 3.1.0\ninfo: {version: 1.0.0}\npaths: {}\n", SURROUNDINGS)
    assert read == b'{"openapi":"3.1.0","info":{"version":"1.0.0"},"paths":{}}'
    for text, words in [
        (b"", "give the document"),
        (b"swagger: '2.0'", "no OpenAPI 3.0 or 3.1"),
        (b"[1]", "no OpenAPI document"),
        (b"a: b: c", "neither JSON nor YAML"),
        (
            b"a: &a [x, x]\nb: &b [*a, *a]\n"
            + b"".join(f"k{n}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n".encode() for n in range(1, 12)),
            "aliases written out",
        ),
    ]:
        with pytest.raises(SourceInvalid, match=words):
            await source.read(OpenapiConfig(), text, SURROUNDINGS)


def circle(size: int, **changed: Any) -> dict[str, Any]:
    """As many operations as schemas, each of which leads to all the others and to a leaf of its own."""
    to = [{"$ref": f"#/components/schemas/S{number}"} for number in range(size)]
    schemas: dict[str, Any] = {
        f"S{number}": {
            "properties": {
                "id": {"type": "string"},
                "next": to[(number + 1) % size],
                "other": to[(7 * number + 3) % size],
                "leaf": {"$ref": f"#/components/schemas/L{number}"},
            },
            "required": ["id", "next"],
        }
        for number in range(size)
    }
    schemas |= {f"L{number}": {"type": "integer", "maximum": number} for number in range(size)} | changed
    paths = {
        f"/s{number}": {
            "post": {
                "operationId": f"s{number}",
                "requestBody": {"content": {"application/json": {"schema": to[number]}}},
                "responses": {"200": {"description": "", "content": {"application/json": {"schema": to[number]}}}},
            }
        }
        for number in range(size)
    }
    paths["/leaf"] = {
        "get": {
            "operationId": "leaf",
            "responses": {
                "200": {
                    "description": "",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/L0"}}},
                }
            },
        }
    }
    return {"openapi": "3.1.0", "info": {"version": "1.2"}, "paths": paths, "components": {"schemas": schemas}}


def steps(size: int) -> int:
    """How many functions are called to make the tools of such a document."""
    document, calls = circle(size), 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        offered(document, **HERE)
    finally:
        sys.setprofile(None)
    return calls


def test_twice_as_many_operations_that_lead_to_each_other_take_twice_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi_schema, "MOST_OWN", 10)
    steps(10)  # what is done once, such as compiling expressions
    few, many = steps(100), steps(200)
    assert many < 2.2 * few, (few, many)


def test_operations_that_lead_to_much_share_it_and_the_others_have_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi_schema, "MOST_OWN", 10)
    found = specs(offered(circle(20), **HERE))
    assert found["s0"].input_schema["$defs"] is found["s7"].input_schema["$defs"]
    assert len(found["s0"].input_schema["$defs"]) == 40 and list(found["leaf"].output_schema["$defs"]) == ["L0"]
    arguments = schema_model("S19", found["s19"].input_schema)
    good: dict[str, Any] = {"id": "a", "next": {"id": "b", "next": {"id": "c", "next": {}, "leaf": 1}}}
    del good["next"]["next"]["next"]
    with pytest.raises(ValidationError, match="needs"):
        arguments.model_validate({"body": good})
    with pytest.raises(ValidationError, match=r"body.*leaf"):
        arguments.model_validate({"body": {"leaf": 20}})


def test_the_version_tells_of_a_change_wherever_it_is_reached() -> None:
    def versions(**changed: Any) -> dict[str, str]:
        return {name: spec.version for name, spec in specs(offered(circle(20, **changed), **HERE)).items()}

    before = versions()
    assert versions() == before and len({*before.values()}) == 21
    # Every operation sends it, none is certain to be answered with it.
    leaf = versions(L5={"type": "integer", "maximum": 99})
    assert {name for name in before if leaf[name] != before[name]} == {f"s{number}" for number in range(20)}
    own = versions(L0={"type": "integer", "maximum": 99})
    assert all(own[name] != before[name] for name in before)
    assert versions(L99={"type": "string"}) == before


def test_definitions_that_cannot_be_used_are_those_operations_fault_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi_schema, "MOST_OWN", 3)
    bad = circle(8, L2={"type": "nothing"})
    with pytest.raises(SourceInvalid, match=r"s0: .*L2.*; s7: [^;]*L2"):
        offered(bad, **HERE)
    assert specs(offered(bad, **HERE, operations=["leaf"])).keys() == {"leaf"}
