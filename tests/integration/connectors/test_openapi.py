"""openapi.call against a pet store that describes itself in Swagger 2.0 and in OpenAPI 3, as JSON and as YAML."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from factotum.connectors.protocols import openapi
from factotum.connectors.protocols.openapi import OpenapiCall, OpenapiSettings, call, call_nature, call_sent
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, InvalidArgument, NotFound, NotPermitted, ToolError, Unavailable
from factotum.sdk.spec import Effect, Idempotency
from tests.support.pet_store import PetStore, pet_store
from tests.support.scripted_http import Answer, ScriptedHttp, scripted_http
from tests.support.tool_calls import tool_context

DOCUMENTS = ["/v2/swagger.json", "/v3/openapi.json", "/v3/openapi.yaml"]


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Documents are kept by their addresses, and the next test's server may be given the port of the last one's."""
    openapi._DOCUMENTS._kept.clear()


@pytest_asyncio.fixture(scope="module")
async def store() -> AsyncIterator[PetStore]:
    async with pet_store() as serving:
        yield serving


def context(**settings: Any) -> ToolContext[OpenapiSettings]:
    return tool_context(OpenapiSettings(**{"allow": ["http://127.0.0.1:*"], **settings}))


def asked(url: str, operation: str, parameters: dict[str, Any], **arguments: Any) -> OpenapiCall:
    return OpenapiCall.model_validate(
        {"document": {"endpoint": url}, "operationId": operation, "parameters": parameters, **arguments}
    )


async def do(
    url: str, operation: str, *, at: ToolContext[OpenapiSettings] | None = None, output: str = "content", **given: Any
) -> Any:
    return (await call.function(asked(url, operation, given, output=output), at or context())).root


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_an_operation_of_each_kind(store: PetStore, document: str) -> None:
    url = store.url + document
    assert [pet["id"] for pet in await do(url, "findPetsByStatus", status="available")] == [1]
    assert [pet["id"] for pet in await do(url, "findPetsByStatus", status=["available", "sold"])] == [1, 2]
    told = await do(url, "getPetById", petId=1, output="response")
    assert (told["statusCode"], told["request"]["uri"], told["content"]["name"]) == (
        200,
        f"{store.url}/v2/pet/1",
        "Rex",
    )
    added = await do(url, "addPet", name="Ada")
    assert (await do(url, "addPet", body={"name": "Bob"}))["name"] == "Bob"
    assert await do(url, "deletePet", petId=str(added["id"]), api_key="k3y") is None
    assert store.requests[-1].headers["api_key"] == "k3y"
    await do(url, "deletePet", petId=added["id"] + 1)
    with pytest.raises(NotFound, match="Pet not found") as caught:
        await do(url, "getPetById", petId=added["id"])
    assert caught.value.status == 404


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize(
    ("operation", "given", "words"),
    [
        ("getPetById", {}, "'petId' is missing (path). The operation takes petId"),
        ("getPetById", {"petId": 1, "petID": 2}, "'petID' is unknown. The operation takes petId"),
        ("getPetById", {"petId": "s3cret"}, 'petId is not as `type: "integer"`'),
        ("findPetsByStatus", {"status": "s3cret"}, 'status/0 is not as `enum: ["available"'),
        ("findPetsByStatus", {}, "'status' is missing (query)"),
        ("addPet", {}, "'body' is missing"),
        ("addPet", {"status": "sold"}, "body lacks 'name'"),
        ("addPet", {"body": {"name": "s3cret", "status": 3}}, "body/status is not as"),
        ("addPet", {"body": {"name": "x"}, "more": 1}, "'more' is unknown"),
        ("noSuchPet", {}, "it has addPet, deletePet"),
    ],
)
async def test_parameters_are_checked_before_anything_is_sent(
    store: PetStore, document: str, operation: str, given: dict[str, Any], words: str
) -> None:
    before = len([one for one in store.requests if one.target.startswith("/v2/pet")])
    with pytest.raises(InvalidArgument) as caught:
        await do(store.url + document, operation, **given)
    assert words in caught.value.message
    assert "s3cret" not in caught.value.message
    assert not caught.value.effect_possible
    assert len([one for one in store.requests if one.target.startswith("/v2/pet")]) == before


async def test_a_form_of_swagger_2(store: PetStore) -> None:
    await do(f"{store.url}/v2/swagger.json", "updatePetWithForm", petId=2, name="Tom & Co")
    assert store.pets[2]["name"] == "Tom & Co"


async def test_the_styles_of_openapi_3(store: PetStore) -> None:
    sent = await do(
        f"{store.url}/v3/openapi.json",
        "echo",
        ids=[1, 2],
        filter={"a": "x", "b": 2},
        session="s",
        **{"X-Trace": 7},
    )
    assert sent["query"] == [["ids", "1,2"], ["filter[a]", "x"], ["filter[b]", "2"]]
    assert (sent["headers"]["cookie"], sent["headers"]["x-trace"]) == ("session=s", "7")


async def test_a_document_is_read_once_in_a_while_and_by_each_tenant(store: PetStore) -> None:
    url = f"{store.url}/v3/openapi.json?mine"

    def reads() -> int:
        return [one.target for one in store.requests].count("/v3/openapi.json?mine")

    for _ in range(2):
        await do(url, "getPetById", petId=1)
    assert reads() == 1
    await do(url, "getPetById", petId=1, at=tool_context(context().settings, tenant="globex"))
    assert reads() == 2
    await do(url, "getPetById", petId=1, at=context(document_seconds=0))  # kept by an earlier call
    assert reads() == 2


async def test_document_and_server_must_be_allowed(store: PetStore) -> None:
    document = {
        "openapi": "3.0.0",
        "servers": [{"url": store.url}],
        "paths": {"/pet": {"post": {"operationId": "addPet", "responses": {}}}},
    }
    async with described(document) as server:
        with pytest.raises(NotPermitted, match=r"tenants\.acme\.openapi\.allow"):
            await do(server.url, "addPet", at=context(allow=[]))
        with pytest.raises(NotPermitted, match=store.url) as caught:
            await do(server.url, "addPet", at=context(allow=[server.url]))
    assert not caught.value.effect_possible


def described(document: Any) -> Any:
    return scripted_http(Answer(body=json.dumps(document).encode(), headers={"Content-Type": "application/json"}))


def of(operation: dict[str, Any], **document: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {"/x": {"get": {"operationId": "x", **operation}}}, **document}


def parameter(**given: Any) -> dict[str, Any]:
    return {"parameters": [{"name": "p", "in": "query", **given}]}


@pytest.mark.parametrize(
    ("document", "given", "words"),
    [
        ({"openapi": "4.0.0"}, {}, "is no OpenAPI 3 or Swagger 2.0 document"),
        ([1], {}, "is no OpenAPI document"),
        ({"openapi": "3.1.0"}, {}, "it has none with an id"),
        (of({"parameters": [{"$ref": "https://x.example/p"}]}), {}, "only references inside of it"),
        (of({"parameters": [{"$ref": "#/nowhere"}]}), {}, "leads nowhere"),
        (of({"parameters": [{"$ref": "#/a"}]}, a={"$ref": "#/a"}), {}, "leads nowhere"),
        (of(parameter(style="matrix", schema={})), {}, "style matrix"),
        (of(parameter(schema={"$ref": "#/components/schemas/Gone"})), {"p": 1}, "schema of 'p' cannot be used"),
        (of(parameter(schema={"type": "nothing"})), {"p": 1}, "schema of 'p' cannot be used"),
    ],
)
async def test_a_document_that_cannot_be_used(document: Any, given: dict[str, Any], words: str) -> None:
    async with described(document) as server:
        with pytest.raises(InvalidArgument) as caught:
            await do(server.url, "x", **given)
    assert words in caught.value.message
    assert not caught.value.effect_possible


@pytest.mark.parametrize(
    ("version", "schema", "value", "taken"),
    [
        ("3.0.3", {"type": "object", "properties": {"a": {"type": "string", "nullable": True}}}, {"a": None}, True),
        ("3.0.3", {"type": "object", "properties": {"a": {"type": "string"}}}, {"a": None}, False),
        ("3.0.3", {"type": "number", "minimum": 1, "exclusiveMinimum": True}, 1, False),
        ("3.1.0", {"type": "number", "exclusiveMinimum": 1}, 1, False),
        ("3.1.0", {"type": ["object", "null"]}, {}, True),
    ],
)
async def test_each_version_has_its_own_schemas(version: str, schema: Any, value: Any, taken: bool) -> None:
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    document = {**of({}), "openapi": version, "paths": {"/x": {"post": {"operationId": "x", "requestBody": body}}}}
    async with described(document) as server:
        if taken:
            await do(server.url, "x", body=value)
            assert json.loads(server.requests[-1][3]) == value
        else:
            with pytest.raises(InvalidArgument, match="body"):
                await do(server.url, "x", body=value)


async def test_a_document_that_cannot_be_read_leaves_no_effect() -> None:
    for answer, kind in ((Answer(500), Unavailable), (Answer(404), NotFound), (Answer(body=b"a: [b"), InvalidArgument)):
        server: ScriptedHttp
        async with scripted_http(answer) as server:
            with pytest.raises(ToolError) as caught:
                await do(server.url, "x")
            assert isinstance(caught.value, kind)
            assert not caught.value.effect_possible


async def test_what_an_operation_does_is_what_its_method_does(store: PetStore) -> None:
    url = f"{store.url}/v2/swagger.json"
    for operation, nature in {
        "getPetById": (Effect.NONE, Idempotency.NATIVE),
        "deletePet": (Effect.DELETE, Idempotency.NATIVE),
        "addPet": (Effect.EXECUTE, Idempotency.RECONCILE),
    }.items():
        assert await call_nature(asked(url, operation, {}), context()) == nature
    with pytest.raises(Ambiguous, match="Idempotency-Key"):
        await call_sent(asked(url, "addPet", {}), context())


async def test_a_key_makes_a_repetition_known_only_where_it_is_sent(store: PetStore) -> None:
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "nullable": True}}
    document = {
        "openapi": "3.0.4",
        "paths": {"/pets": {"post": {"operationId": "add", "parameters": [key], "responses": {}}}},
    }
    async with scripted_http(Answer(body=json.dumps(document).encode())) as server:
        for value, idempotency in (
            ("1", Idempotency.NATIVE),
            ("", Idempotency.RECONCILE),
            (None, Idempotency.RECONCILE),
        ):
            arguments = asked(server.url, "add", {"Idempotency-Key": value})
            assert await call_nature(arguments, context()) == (Effect.EXECUTE, idempotency)
    in_the_body = asked(f"{store.url}/v2/swagger.json", "addPet", {"name": "Rex", "Idempotency-Key": "1"})
    assert await call_nature(in_the_body, context()) == (Effect.EXECUTE, Idempotency.RECONCILE)


async def test_credentials_go_with_the_call_and_not_with_the_document(store: PetStore) -> None:
    arguments = asked(f"{store.url}/v3/openapi.json?plain", "echo", {}, authentication={"bearer": {"token": "b3arer"}})
    sent = (await call.function(arguments, context())).root
    assert sent["headers"]["authorization"] == "Bearer b3arer"
    [read] = [one for one in store.requests if one.target.endswith("?plain")]
    assert "authorization" not in read.headers
