"""Tools of an OpenAPI document call its API: checked both ways, with credentials, by pages."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from starlette.responses import JSONResponse, Response

from factotum.sdk.errors import (
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)
from factotum.tool_executor.errors import EffectAmbiguous
from factotum.tool_executor.sources.openapi.config import OpenapiConfig
from factotum.tool_executor.sources.openapi.source import OpenapiSource
from factotum.tool_executor.sources.source import SourceInvalid, SourceUnavailable
from factotum.tool_executor.sources.store import Definition
from tests.support.composition import catalog_of, sources_of
from tests.support.openapi_source import SURROUNDINGS, OpenapiBench, offered, openapi_bench
from tests.support.parcels import API_KEY, DOCUMENT, TOKEN, Parcels
from tests.support.parcels_source import SECRETS, config, opened
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import closed_port, tool_context


@pytest_asyncio.fixture
async def bench(api: Parcels, tmp_path: Path) -> AsyncIterator[OpenapiBench]:
    async with openapi_bench(offered(DOCUMENT, "parcels", **config(api.url)), tmp_path, **SECRETS) as made:
        yield made


async def test_a_call_of_each_kind(api: Parcels, bench: OpenapiBench) -> None:
    body = {"label": "Books", "weight": None, "inside": []}
    made = await bench.output("parcels_create", body=body)
    assert (made["status"], made["location"], made["body"]["id"]) == (201, "/parcels/1", 1)
    assert (await bench.output("parcels_get", id=1))["body"]["label"] == "Books"
    replaced = await bench.output("parcels_replace", id=1, body={"label": "More books"})
    assert replaced == {"status": 200, "body": {"id": 1, "label": "More books"}}
    assert (await bench.output("parcels_list", per_page=5))["body"] == [replaced["body"]]
    assert await bench.output("parcels_delete", id=1) == {"status": 204}
    assert isinstance(await bench.error("parcels_get", id=1), NotFound)
    assert {request.headers["authorization"] for request in api.seen} == {f"Bearer {TOKEN}"}


async def test_bytes_are_base64_and_texts_are_texts(api: Parcels, bench: OpenapiBench) -> None:
    picture = (await bench.output("get_label_id", id=1))["body"]
    assert base64.b64decode(picture) == b"\x89PNG"
    assert await bench.output("label", id=1, body=picture) == {"status": 200, "body": "4 bytes"}
    assert [request.headers["x-printer"] for request in api.seen] == ["the-printer"] * 2
    assert api.seen[1].headers["content-type"] == "image/png"
    assert "authorization" not in api.seen[0].headers, "it needs no credentials"
    assert isinstance(await bench.error("label", id=1, body="no base64!"), InvalidArgument)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("parcels_get", {}, "needs id"),
        ("parcels_get", {"id": "one"}, "/id: must be integer"),
        ("parcels_get", {"id": 1, "page": 2}, "has a field that is not known"),
        ("parcels_create", {}, "needs body"),
        ("parcels_create", {"body": {"weight": 2}}, "/body: needs label"),
        ("parcels_create", {"body": {"label": "x", "weight": 0}}, "/body/weight: does not meet exclusiveMinimum"),
        ("parcels_create", {"body": {"label": "<b>"}}, "/body/label: does not meet pattern"),
        ("parcels_create", {"body": {"label": "x", "inside": [{"label": 1}]}}, "/body/inside/0/label: must be string"),
        ("parcels_create", {"body": {"label": "x", "carrier": {"kind": "ship", "port": 1}}}, "/body/carrier"),
    ],
)
async def test_wrong_arguments_are_refused_before_they_are_sent(
    api: Parcels, bench: OpenapiBench, tool: str, arguments: dict[str, Any], words: str
) -> None:
    error = await bench.error(tool, **arguments)
    assert isinstance(error, InvalidArgument) and words in error.message
    assert api.seen == []


WRONG = [
    (JSONResponse({"id": 1, "label": 7}), "/label is not as `type"),
    (JSONResponse({"label": "no id"}), "lacks 'id'"),
    (JSONResponse({"id": 1, "label": "x", "inside": [{"id": 2}]}), "/inside/0 lacks 'label'"),
    (JSONResponse({"id": 1, "label": "x", "color": "green"}), "/color is not as `enum"),
    (JSONResponse({"id": 1, "label": "x"}, 202), "status 202 is not described, 200 is"),
    (Response("<html>Sign in</html>", media_type="text/html"), "text/html is not described, application/json is"),
    (Response(b"", 200), "it has no body"),
]


@pytest.mark.parametrize(("answer", "words"), WRONG)
async def test_a_wrong_answer_is_caught(api: Parcels, bench: OpenapiBench, answer: Response, words: str) -> None:
    api.answers.append(answer)
    error = await bench.error("parcels_get", id=1)
    assert isinstance(error, Failed) and words in error.message and not error.effect_possible


async def test_large_answers_are_looked_at_as_well(api: Parcels, bench: OpenapiBench) -> None:
    many = [{"id": number, "label": "x" * 500} for number in range(1000)]
    api.answers += [JSONResponse(many), JSONResponse([*many, {"id": "last", "label": "x"}])]
    assert len((await bench.output("parcels_list"))["body"]) == 1000
    assert "/1000/id is not as" in (await bench.error("parcels_list")).message


async def test_what_an_effect_was_answered_wrongly_may_have_happened(api: Parcels, bench: OpenapiBench) -> None:
    api.answers.append(JSONResponse({"id": 1}, 201))
    answer = await bench.call("parcels_create", body={"label": "x"})
    assert isinstance(answer.error, EffectAmbiguous) and answer.effect_possible and "lacks 'label'" in str(answer.error)
    api.answers.append(JSONResponse({"id": 1}))
    answer = await bench.call("parcels_replace", id=1, body={"label": "x"})
    assert isinstance(answer.error, Failed) and answer.effect_possible


async def test_wrong_answers_can_be_taken(api: Parcels, tmp_path: Path) -> None:
    terms = {"parcels/list": {"lenient": False}}
    async for bench in opened(api, tmp_path, lenient=True, terms=terms):
        api.answers += [JSONResponse({"label": 7}, 202), JSONResponse([1])]
        assert await bench.output("parcels_get", id=1) == {"status": 202, "body": {"label": 7}}
        assert isinstance(await bench.error("parcels_list"), Failed)


@pytest.mark.parametrize(
    ("answer", "kind", "retry_after"),
    [
        (JSONResponse({"message": "label is bad"}, 422), InvalidArgument, None),
        (JSONResponse({"message": "who"}, 401), NotPermitted, None),
        (JSONResponse({"message": "the rate limit is not yours to change"}, 403), NotPermitted, None),
        (JSONResponse({"message": "taken"}, 409), Conflict, None),
        (JSONResponse({}, 429, headers={"Retry-After": "7"}), RateLimited, 7),
        (JSONResponse({}, 403, headers={"Retry-After": "9"}), RateLimited, 9),
        (JSONResponse({"message": "You have exceeded a secondary rate limit"}, 403), RateLimited, 60),
        (JSONResponse({}, 503), Unavailable, None),
    ],
)
async def test_what_a_refusal_means(
    api: Parcels, bench: OpenapiBench, answer: Response, kind: type[ToolError], retry_after: float | None
) -> None:
    api.answers.append(answer)
    error = await bench.error("parcels_get", id=1)
    assert type(error) is kind and getattr(error, "retry_after", None) == retry_after


async def test_a_limit_that_is_used_up_says_until_when(api: Parcels, bench: OpenapiBench) -> None:
    reset = str(int(datetime.now(UTC).timestamp()) + 100)
    api.answers.append(JSONResponse({}, 403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}))
    error = await bench.error("parcels_get", id=1)
    assert isinstance(error, RateLimited) and error.retry_after is not None and 95 < error.retry_after <= 100


# Credentials


async def test_each_scheme_is_sent_as_the_document_says(api: Parcels, tmp_path: Path) -> None:
    basic = {"both": {"username": "ada", "password": "secret://token"}, "key": {"token": "secret://api-key"}}
    given = config(api.url)["auth"] | basic
    async for bench in opened(api, tmp_path, auth=given):
        await bench.output("parcels_list")
        await bench.output("read_log", offset=0, limit=1)
        for _ in range(2):
            await bench.output("search_parcels")
        await bench.output("get_label_id", id=1)
    listed, log, *searched, picture = api.seen
    assert listed.headers["authorization"] == "Basic " + base64.b64encode(f"ada:{TOKEN}".encode()).decode()
    assert listed.headers["x-key"] == API_KEY
    assert log.query_params["key"] == API_KEY and "authorization" not in log.headers
    assert {one.headers["authorization"] for one in searched} == {"Bearer for parcels:read"} and api.tokens == 1
    assert "authorization" not in picture.headers


async def test_a_scheme_that_the_document_does_not_know(api: Parcels, tmp_path: Path) -> None:
    bare = {name: value for name, value in DOCUMENT.items() if name != "security"}
    session = {"kind": "cookie", "name": "session", "token": "secret://token"}
    auth = {"session": session, **config(api.url)["auth"]}
    offer = offered(bare, "parcels", **config(api.url, auth=auth, operations=["parcels/list"]))
    async with openapi_bench(offer, tmp_path, **SECRETS) as bench:
        await bench.output("parcels_list")
    assert api.seen[0].cookies == {"session": TOKEN}


async def test_a_secret_that_is_not_there_leaves_no_effect(api: Parcels, tmp_path: Path) -> None:
    offer = offered(DOCUMENT, "parcels", **config(api.url))
    async with openapi_bench(offer, tmp_path) as bench:
        answer = await bench.call("parcels_create", body={"label": "x"})
        assert isinstance(answer.error, NotPermitted) and not answer.effect_possible and api.seen == []


@pytest.mark.parametrize(
    ("auth", "followed"),
    [
        ({"bearer": {"token": "secret://token"}}, True),
        ({"bearer": {"kind": "header", "name": "X-Key", "token": "secret://token"}}, False),
    ],
)
async def test_a_redirection_gets_no_credentials(
    api: Parcels, tmp_path: Path, auth: dict[str, Any], followed: bool
) -> None:
    parcel = json.dumps({"id": 1, "label": "x"}).encode()
    async with scripted_http(Answer(body=parcel, headers={"Content-Type": "application/json"})) as other:
        given = {"operations": ["parcels/get"], "auth": auth, "headers": {}, "redirects": True, "allow": [other.url]}
        api.answers.append(Response(status_code=302, headers={"Location": other.url}))
        async for bench in opened(api, tmp_path, **given):
            answer = await bench.call("parcels_get", id=1)
            assert (answer.error is None) is followed
        assert len(other.requests) == followed
        assert all(TOKEN not in str(request) for request in other.requests)


# Pages

PAGED = {
    "parcels/list": {"style": "link"},
    "searchParcels": {"style": "cursor", "parameter": "cursor", "next": "next", "items": "items"},
    "readLog": {"style": "offset", "parameter": "offset", "size_parameter": "limit", "size": 3, "items": "entries"},
}


async def test_pages_are_one_answer(api: Parcels, tmp_path: Path) -> None:
    api.fill(8)
    everything = list(api.parcels.values())
    async for bench in opened(api, tmp_path, paging=PAGED):
        assert await bench.output("parcels_list") == {"status": 200, "body": everything, "complete": True}
        assert [request.url.path for request in api.seen] == ["/parcels"] * 3
        found = await bench.output("search_parcels")
        assert found == {"status": 200, "body": {"items": everything, "next": None}, "complete": True}
        log = await bench.output("read_log")
        assert log["body"]["entries"] == everything and log["complete"]
        assert [request.query_params["offset"] for request in api.seen[-4:]] == ["0", "3", "6", "8"]
    paging = {"parcels/list": {"style": "page", "parameter": "page", "size_parameter": "per_page", "size": 4}}
    async for bench in opened(api, tmp_path, paging=paging):
        assert (await bench.output("parcels_list"))["body"] == everything
        assert (await bench.output("parcels_list", per_page=8))["body"] == everything


@pytest.mark.parametrize(("bounds", "found"), [({"pages": 2}, 6), ({"most_items": 4}, 4), ({"most_items": 8}, 8)])
async def test_pages_are_bounded(api: Parcels, tmp_path: Path, bounds: dict[str, int], found: int) -> None:
    api.fill(8)
    async for bench in opened(api, tmp_path, paging={"parcels/list": {"style": "link", **bounds}}):
        listed = await bench.output("parcels_list")
        assert (len(listed["body"]), listed["complete"]) == (found, found == 8)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (JSONResponse([], headers={"Link": '<https://elsewhere.example/?page=2>; rel="next"'}), "another origin"),
        (JSONResponse([{"id": 1}]), "lacks 'label'"),
    ],
)
async def test_a_page_that_is_wrong_fails_the_call(api: Parcels, tmp_path: Path, answer: Response, words: str) -> None:
    api.fill(8)
    async for bench in opened(api, tmp_path, paging=PAGED):
        api.answers.append(answer)
        error = await bench.error("parcels_list")
        assert isinstance(error, Failed) and words in error.message
        api.answers += [JSONResponse({"items": list(api.parcels.values()), "next": "1"})] * 2
        assert "the one that it was asked for by" in (await bench.error("search_parcels")).message


# The document


async def test_a_source_is_added_and_is_there_after_a_restart(api: Parcels, tmp_path: Path) -> None:
    api.fill(1)
    text, given = json.dumps(DOCUMENT).encode(), json.dumps(config(api.url, operations=["parcels/*"]))
    async with sources_of(catalog_of(), tmp_path) as sources:
        listed = await sources.add(
            Definition(tenant="acme", system="parcels", kind="openapi", config_json=given, document=text)
        )
    assert len(listed.tools) == 6
    catalog = catalog_of()
    async with sources_of(catalog, tmp_path):
        tool = catalog.tool("acme", "parcels.parcels_get")
        at = tool_context(catalog.settings("acme", "parcels"), **SECRETS)
        assert (await tool.function(tool.arguments.model_validate({"id": 1}), at)).root["status"] == 200


async def test_a_document_is_read_at_its_address() -> None:
    text = json.dumps(DOCUMENT).encode()
    async with scripted_http(Answer(body=text)) as server:
        given = OpenapiConfig(document=f"{server.url}/openapi.json")
        assert json.loads(await OpenapiSource().read(given, b"", SURROUNDINGS)) == DOCUMENT
        with pytest.raises(SourceInvalid, match="more than the tenant's 10 bytes"):
            await OpenapiSource().read(given.model_copy(update={"document_max_bytes": 10}), b"", SURROUNDINGS)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(Answer(404), SourceInvalid), (Answer(503), SourceUnavailable), (Answer(429), SourceUnavailable)],
)
async def test_a_document_that_cannot_be_had(answer: Answer, kind: type[Exception]) -> None:
    async with scripted_http(answer) as server:
        with pytest.raises(kind):
            await OpenapiSource().read(OpenapiConfig(document=server.url), b"", SURROUNDINGS)
    with pytest.raises(SourceUnavailable):
        await OpenapiSource().read(OpenapiConfig(document=f"http://127.0.0.1:{closed_port()}"), b"", SURROUNDINGS)


async def test_a_document_that_sends_elsewhere_is_not_followed() -> None:
    target = "http://localhost:1/openapi.json"
    async with scripted_http(Answer(302, headers={"Location": target})) as server:
        with pytest.raises(SourceInvalid, match="may not be reached"):
            await OpenapiSource().read(OpenapiConfig(document=server.url), b"", SURROUNDINGS)


@pytest.mark.parametrize("part", ["..", ".", ""])
async def test_an_argument_is_no_way_to_another_path(api: Parcels, tmp_path: Path, part: str) -> None:
    text = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    get = {"operationId": "one", "parameters": [text], "responses": {}}
    document = {"openapi": "3.1.0", "info": {}, "paths": {"/parcels/{name}": {"get": get}}}
    async with openapi_bench(offered(document, "parcels", base_url=api.url), tmp_path) as bench:
        error = await bench.error("one", name=part)
        assert isinstance(error, InvalidArgument) and api.seen == []
