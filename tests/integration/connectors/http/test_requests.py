"""http.request against real servers on loopback: what is sent, what is told, what it does."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from factotum.connectors.protocols.http import Request, request_nature, request_sent
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)
from factotum.sdk.spec import Effect, Idempotency
from tests.support.http_requests import context, send
from tests.support.pet_store import PetStore
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import closed_port


async def test_content_is_deserialised_by_its_type(store: PetStore) -> None:
    assert await send(f"{store.url}/v2/pet/1") == {"id": 1, "name": "Rex", "status": "available"}
    assert await send({"uri": f"{store.url}/status/200"}) == "you asked for 200"
    assert await send(f"{store.url}/bytes/3") == "AAEC"
    assert await send(f"{store.url}/status/204") is None
    assert base64.b64decode(await send(f"{store.url}/bytes/3", output="raw")) == b"\0\1\2"


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/problem+json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("application/json", b"{not json", "{not json"),
        ("application/json", b'{"a": NaN}', '{"a": NaN}'),
        ("text/plain; charset=latin-1", "ü".encode("latin-1"), "ü"),
        ("text/plain; charset=no-such", "ü".encode(), "ü"),
        ("application/soap+xml", b"<a/>", "<a/>"),
        ("", b"plain", "plain"),
        ("", b"\xff\xfe", "//4="),
        ("image/png", b"png", "cG5n"),
    ],
)
async def test_what_a_content_type_means(content_type: str, body: bytes, value: Any) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    async with scripted_http(Answer(body=body, headers=headers)) as server:
        assert await send(server.url) == value


async def test_a_response_is_told_without_credentials(store: PetStore) -> None:
    told = await send(
        {"uri": f"{store.url}/echo?x=1", "authentication": {"bearer": {"token": "b3arer"}}},
        output="response",
        headers={"X-Api-Key": "k3y", "Cookie": "session=s3ssion", "X-Trace": "t"},
    )
    assert told["statusCode"] == 200
    assert told["headers"]["content-type"] == "application/json"
    assert (told["request"]["method"], told["request"]["uri"]) == ("GET", f"{store.url}/echo?x=1")
    assert told["request"]["headers"]["x-trace"] == "t"
    assert told["content"]["headers"]["authorization"] == "Bearer b3arer"  # it was sent
    del told["content"]
    assert not [value for value in ("b3arer", "k3y", "s3ssion") if value in json.dumps(told)]


async def test_what_is_sent_is_what_was_given(store: PetStore) -> None:
    sent = await send(
        f"{store.url}/echo?a=1&b=2",
        "PoSt",
        query={"a": [3, "x y"], "c": None, "d": True},
        headers={"X-Number": 4},
        body={"é": [1, None]},
    )
    assert sent["method"] == "POST"
    assert sorted(map(tuple, sent["query"])) == [("a", "3"), ("a", "x y"), ("b", "2"), ("d", "true")]
    assert (sent["body"], sent["headers"]["content-type"]) == ('{"é":[1,null]}', "application/json")
    assert sent["headers"]["x-number"] == "4"


@pytest.mark.parametrize(
    ("arguments", "body", "content_type"),
    [
        ({"body": "plain ü"}, "plain ü", "text/plain; charset=utf-8"),
        ({"body": '{"a":1}', "headers": {"content-type": "application/json"}}, '{"a":1}', "application/json"),
        (
            {"body": {"a": "x y", "b": [1, 2]}, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            "a=x+y&b=1&b=2",
            "application/x-www-form-urlencoded",
        ),
        ({"body": None}, "null", "application/json"),
        ({}, "", None),
    ],
)
async def test_how_a_body_is_written(store: PetStore, arguments: Any, body: str, content_type: str | None) -> None:
    sent = await send(f"{store.url}/echo", "post", **arguments)
    assert (sent["body"], sent["headers"].get("content-type")) == (body, content_type)


@pytest.mark.parametrize(
    ("status", "kind", "effect_possible"),
    [
        (400, InvalidArgument, False),
        (401, NotPermitted, False),
        (404, NotFound, False),
        (409, Conflict, False),
        (418, Failed, False),
        (429, RateLimited, False),
        (301, Failed, True),
        (303, Failed, True),
        (307, Failed, False),
        (500, Unavailable, True),
        (503, Unavailable, True),
    ],
)
async def test_the_status_of_an_error_is_told(
    store: PetStore, status: int, kind: type[ToolError], effect_possible: bool
) -> None:
    with pytest.raises(kind, match=str(status)) as caught:
        await send(f"{store.url}/status/{status}", "post")
    assert (caught.value.status, caught.value.effect_possible) == (status, effect_possible)


async def test_an_error_has_the_systems_words_and_no_query(store: PetStore) -> None:
    with pytest.raises(NotFound, match="Pet not found") as caught:
        await send(f"{store.url}/v2/pet/9?api_key=k3y")
    assert "k3y" not in caught.value.message


@pytest.mark.parametrize(
    ("endpoint", "arguments", "words"),
    [
        ("ftp://127.0.0.1/", {}, "http://"),
        ("http:///x", {}, "host"),
        ("http://u:s3cret@127.0.0.1/", {}, "authentication"),
        ("http://127.0.0.1/", {"headers": {"Host": "inside.example"}}, "Host"),
        ("http://127.0.0.1/", {"headers": {"X-HTTP-Method-Override": "DELETE"}}, "another method"),
        ("http://127.0.0.1/", {"headers": {"x-method-override": "DELETE"}}, "another method"),
        ("http://127.0.0.1/", {"headers": {"a b": "x"}}, "a b"),
        ("http://127.0.0.1/", {"headers": {"X-A": "s3cret\r\nX-B: 1"}}, "X-A"),
        ("http://127.0.0.1/", {"headers": {"Content-Type": "text/csv"}, "body": [1]}, "text/csv"),
        ({"uri": "http://127.0.0.1/", "authentication": {"use": "nobody"}}, {}, "nobody"),
        ({"uri": "http://127.0.0.1/", "authentication": {"certificate": {}}}, {}, "basic, bearer"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before(endpoint: Any, arguments: Any, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await send(endpoint, **arguments)
    assert words in caught.value.message
    assert "s3cret" not in caught.value.message
    assert not caught.value.effect_possible


async def test_an_answer_is_bounded_in_size_and_time(store: PetStore) -> None:
    with pytest.raises(Failed, match="max_bytes"):
        await send(f"{store.url}/bytes/1001", at=context(max_bytes=1000))
    assert len(await send(f"{store.url}/bytes/1000", at=context(max_bytes=1000))) > 1000
    with pytest.raises(Unavailable, match="does not answer"):
        await send(f"{store.url}/slow/5", at=context(timeout=0.1))
    with pytest.raises(Unavailable, match="does not answer") as caught:
        await send(f"http://127.0.0.1:{closed_port()}/", "post")
    assert not caught.value.effect_possible


@pytest.mark.parametrize(
    ("method", "headers", "effect", "idempotency"),
    [
        ("get", {}, Effect.NONE, Idempotency.NATIVE),
        ("HEAD", {}, Effect.NONE, Idempotency.NATIVE),
        ("put", {}, Effect.UPDATE, Idempotency.NATIVE),
        ("delete", {}, Effect.DELETE, Idempotency.NATIVE),
        ("post", {}, Effect.EXECUTE, Idempotency.RECONCILE),
        ("patch", {}, Effect.EXECUTE, Idempotency.RECONCILE),
        ("post", {"idempotency-key": "1"}, Effect.EXECUTE, Idempotency.NATIVE),
        ("post", {"Idempotency-Key": 1}, Effect.EXECUTE, Idempotency.NATIVE),
        ("post", {"Idempotency-Key": None}, Effect.EXECUTE, Idempotency.RECONCILE),
        ("post", {"Idempotency-Key": ""}, Effect.EXECUTE, Idempotency.RECONCILE),
        ("post", {"Idempotency-Key": " "}, Effect.EXECUTE, Idempotency.RECONCILE),
        ("post", {"Idempotency-Key": False}, Effect.EXECUTE, Idempotency.RECONCILE),
    ],
)
async def test_what_a_method_does(method: str, headers: Any, effect: Effect, idempotency: Idempotency) -> None:
    asked = Request(method=method, endpoint="http://127.0.0.1/", headers=headers)
    assert await request_nature(asked, context()) == (effect, idempotency)


async def test_what_became_of_a_post_nobody_can_say() -> None:
    with pytest.raises(Ambiguous, match="Idempotency-Key"):
        await request_sent(Request(method="post", endpoint="http://127.0.0.1/"), context())
