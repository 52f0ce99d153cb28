"""http.request against real servers on loopback: what is sent, what is told, what may be reached."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from factotum.connectors.protocols.http import HttpSettings, Request, request, request_nature, request_sent
from factotum.sdk import egress
from factotum.sdk.context import ToolContext
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
from tests.support.guarded_http import CLIENT_ID, CLIENT_SECRET
from tests.support.pet_store import PetStore, pet_store
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import NOW, closed_port, tool_context

LOOPBACK = "http://127.0.0.1:*"


@pytest_asyncio.fixture(scope="module")
async def store() -> AsyncIterator[PetStore]:
    async with pet_store() as serving:
        yield serving


def context(*allow: str, secrets: dict[str, str] | None = None, **settings: Any) -> ToolContext[HttpSettings]:
    return tool_context(HttpSettings(allow=list(allow) or [LOOPBACK], **settings), **(secrets or {}))


async def send(
    endpoint: Any, method: str = "get", *, at: ToolContext[HttpSettings] | None = None, **arguments: Any
) -> Any:
    asked = Request.model_validate({"method": method, "endpoint": endpoint, **arguments})
    return (await request.function(asked, at or context())).root


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


async def test_redirections_are_errors_unless_they_are_wanted(store: PetStore) -> None:
    there = f"{store.url}/redirect?to=/v2/pet/1"
    with pytest.raises(Failed, match="302") as caught:
        await send(there)
    assert caught.value.status == 302
    assert (await send(there, redirect=True))["name"] == "Rex"
    told = await send(f"{store.url}/status/304", redirect=True, output="response")
    assert told["statusCode"] == 304


async def test_each_hop_must_be_allowed_and_gets_no_credentials_of_another(store: PetStore) -> None:
    async with scripted_http(Answer(body=b"there")) as other:
        there = {
            "uri": f"{store.url}/redirect?to={other.url}/",
            "authentication": {"basic": {"username": "u", "password": "p"}},
        }
        with pytest.raises(NotPermitted, match=other.url) as caught:
            await send(there, redirect=True, at=context(store.url))
        assert caught.value.effect_possible  # the first hop was answered
        assert not other.requests
        assert await send(there, redirect=True, at=context(store.url, other.url)) == "there"
        assert "authorization" not in other.requests[0][2]


@pytest.mark.parametrize("status", [307, 308])
async def test_what_was_meant_for_one_origin_is_not_taken_to_another(status: int) -> None:
    secret = {"X-Api-Key": "k3y", "X-Trace": "t"}
    async with scripted_http(Answer(body=b"there")) as other:
        moved = Answer(status, headers={"Location": f"{other.url}/there"})
        async with scripted_http(moved) as server:
            assert await send(server.url, redirect=True, headers=secret) == "there"
            [(_, _, headers, _)] = other.requests
            assert headers["x-trace"] == "t" and "x-api-key" not in headers
            for method in ("post", "put"):
                with pytest.raises(NotPermitted, match="another origin") as caught:
                    await send(server.url, method, redirect=True, body={"a": 1})
                assert caught.value.effect_possible
            assert len(other.requests) == 1
        async with scripted_http(Answer(status, headers={"Location": "/there"}), Answer(body=b"here")) as server:
            assert await send(server.url, "post", redirect=True, headers=secret, body={"a": 1}) == "here"
            _, (_, _, headers, body) = server.requests
            assert (headers["x-api-key"], body) == ("k3y", b'{"a":1}')


async def test_redirections_without_end(store: PetStore) -> None:
    async with scripted_http(Answer(302, headers={"Location": "/again"})) as server:
        with pytest.raises(Failed, match="without end"):
            await send(server.url, redirect=True)
        assert len(server.requests) < 20


@pytest.mark.parametrize(
    ("allow", "url", "words"),
    [
        ([], "https://api.example.com/x", "add 'https://api.example.com' to tenants.acme.http.allow"),
        (["https://api.example.com"], "http://api.example.com/", "add 'http://api.example.com'"),
        (["https://api.example.com"], "https://api.example.com:444/", "add 'https://api.example.com:444'"),
        (["https://api.example.com"], "https://api.example.com.evil.example/", "evil"),
        (["https://*.example.com"], "https://example.com/", "add 'https://example.com'"),
        (["https://*.example.com"], "https://badexample.com/", "add 'https://badexample.com'"),
        (["*"], "http://localhost/", "no public address"),
        (["*"], "http://127.0.0.1/", "no public address"),
        (["*"], "http://2130706433/", "no public address"),
        (["*"], "http://[::ffff:10.0.0.1]/", "no public address"),
        (["*"], "http://169.254.169.254/latest/meta-data", "no public address"),
        (["*"], "http://10.1.2.3/", "no public address"),
        (["*"], "http://[64:ff9b::7f00:1]/", "no public address"),
        (["*"], "http://[64:ff9b:1::7f00:1]/", "no public address"),
        (["*"], "http://[::127.0.0.1]/", "no public address"),
        (["*"], "http://[::ffff:0:127.0.0.1]/", "no public address"),
        (["*"], "http://[fec0::1]/", "no public address"),
        (["*"], "http://168.63.129.16/", "no public address"),
        (["*"], "http://[::ffff:168.63.129.16]/", "no public address"),
    ],
)
async def test_nothing_is_reached_that_is_not_allowed(allow: list[str], url: str, words: str) -> None:
    with pytest.raises(NotPermitted) as caught:
        await send(url, at=tool_context(HttpSettings(allow=allow)))
    assert words in caught.value.message
    assert not caught.value.effect_possible


async def test_a_name_is_looked_up_once_and_the_address_that_was_looked_at_is_used(
    store: PetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, looked = store.url.rpartition(":")[2], []

    async def resolved(host: str, port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(egress, "_resolved", resolved)
    with pytest.raises(NotPermitted, match="no public address"):
        await send(f"http://pets.example.com:{port}/echo", at=context(f"http://*.example.com:{port}"))
    sent = await send(f"http://pets.example.com:{port}/echo", at=context(f"http://pets.example.com:{port}"))
    assert sent["headers"]["host"] == f"pets.example.com:{port}"
    assert looked == ["pets.example.com"] * 2


@pytest.mark.parametrize(
    "origin", ["api.example.com", "https://", "https://a/b", "https://u@a", "kafka://a", "http://*"]
)
def test_an_origin_that_is_none_is_refused_in_the_settings(origin: str) -> None:
    with pytest.raises(ValueError, match=r"origin|port"):
        HttpSettings(allow=[origin])


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


@pytest.mark.parametrize("scheme", ["basic", "digest"])
async def test_user_and_password(store: PetStore, scheme: str) -> None:
    endpoint = {
        "uri": f"{store.url}/{scheme}-auth/ada/1234",
        "authentication": {scheme: {"username": "ada", "password": 1234}},
    }
    assert (await send(endpoint))["authenticated"] is True
    endpoint["authentication"] = {scheme: {"username": "ada", "password": "wrong"}}
    with pytest.raises(NotPermitted) as caught:
        await send(endpoint)
    assert caught.value.status == 401


async def test_a_policy_can_name_a_declared_secret(store: PetStore) -> None:
    secrets = {"login": '{"username": "ada", "password": "pw"}', "broken": '{"username": "ada"}', "token": "b3arer"}
    at = context(secrets=secrets)
    basic = {"uri": f"{store.url}/basic-auth/ada/pw", "authentication": {"basic": {"use": "login"}}}
    assert (await send(basic, at=at))["user"] == "ada"
    bearer = {"uri": f"{store.url}/echo", "authentication": {"bearer": {"use": "token"}}}
    assert (await send(bearer, at=at))["headers"]["authorization"] == "Bearer b3arer"
    with pytest.raises(InvalidArgument, match="password"):
        await send({**basic, "authentication": {"basic": {"use": "broken"}}}, at=at)
    with pytest.raises(NotPermitted, match="nobody"):
        await send({**basic, "authentication": {"basic": {"use": "nobody"}}}, at=at)


def oauth2(store: PetStore, scheme: str = "oauth2", **changes: Any) -> dict[str, Any]:
    policy = {
        "authority": store.url,
        "grant": "client_credentials",
        "client": {"id": CLIENT_ID, "secret": CLIENT_SECRET},
        **changes,
    }
    return {"uri": f"{store.url}/protected", "authentication": {scheme: policy}}


async def test_a_token_is_kept_until_it_expires_or_is_refused(store: PetStore) -> None:
    grants = store.guarded.grants
    policy = oauth2(store, scopes=["kept"])
    before, concealed = len(grants), list[str]()
    for _ in range(2):
        assert await send(policy, at=replace(context(), conceal=concealed.append)) == {"ok": True}
    assert len(grants) == before + 1
    assert len(concealed) == 2 and set(concealed) <= set(store.guarded.tokens)  # a kept one too
    await send(policy, at=tool_context(HttpSettings(allow=[LOOPBACK]), tenant="globex"))
    assert len(grants) == before + 2  # of another tenant
    store.guarded.tokens.clear()
    assert await send(policy) == {"ok": True}
    assert len(grants) == before + 3
    late = context()
    object.__setattr__(late, "now", lambda: NOW + timedelta(hours=1))
    assert await send(policy, at=late) == {"ok": True}
    assert len(grants) == before + 4


@pytest.mark.parametrize(
    ("changes", "granted"),
    [
        ({"scopes": ["a", "b"], "audiences": ["x"]}, {"scope": "a b", "audience": "x"}),
        ({"grant": "password", "username": "ada", "password": "open sesame"}, {"username": "ada"}),
        ({"grant": "refresh_token", "subject": {"token": "r", "type": "refresh_token"}}, {"refresh_token": "r"}),
        (
            {
                "grant": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject": {"token": "s", "type": "t"},
                "actor": {"token": "a", "type": "u"},
            },
            {"subject_token": "s", "subject_token_type": "t", "actor_token": "a", "actor_token_type": "u"},
        ),
        ({"request": {"encoding": "application/json"}, "endpoints": {"token": "oauth2/token"}}, {}),
        (
            {"client": {"id": CLIENT_ID, "secret": CLIENT_SECRET, "authentication": "client_secret_basic"}},
            {"grant_type": "client_credentials"},
        ),
    ],
)
async def test_the_grants_of_oauth2(store: PetStore, changes: Any, granted: dict[str, str]) -> None:
    assert await send(oauth2(store, **changes)) == {"ok": True}
    assert store.guarded.grants[-1].items() >= granted.items()


async def test_oidc_finds_its_token_endpoint(store: PetStore) -> None:
    assert await send(oauth2(store, "oidc", issuers=[store.url])) == {"ok": True}
    with pytest.raises(NotPermitted, match="issuers") as caught:
        await send(oauth2(store, "oidc", issuers=["https://other.example"]))
    assert caught.value.status == 401


async def test_a_client_can_prove_itself_by_an_assertion() -> None:
    token = Answer(body=b'{"access_token": "t", "token_type": "Bearer"}', headers={"Content-Type": "application/json"})
    async with scripted_http(token, Answer(), token, Answer()) as server:
        for client in (
            {"id": "me", "secret": "s3cret-of-some-length", "authentication": "client_secret_jwt"},
            {"id": "me", "assertion": "a.b.c", "authentication": "private_key_jwt"},
        ):
            policy = {"authority": server.url, "grant": "client_credentials", "client": client}
            await send({"uri": f"{server.url}/x", "authentication": {"oauth2": policy}})
        sent = [body.decode() for _, target, _, body in server.requests if target == "/oauth2/token"]
    assert all(
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer" in s for s in sent
    )
    assert "client_assertion=a.b.c" in sent[1]
    assert not [body for body in sent if "s3cret" in body]


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"client": {"id": "x", "secret": "s3cret"}}, NotPermitted, "invalid_client who are you"),
        ({"grant": "password", "username": "a", "password": "s3cret"}, NotPermitted, "invalid_grant"),
        ({"grant": "authorization_code"}, InvalidArgument, "client_credentials, password"),
        ({"grant": "refresh_token"}, InvalidArgument, "subject"),
        ({"endpoints": {"token": "/status/503"}}, Unavailable, "503"),
        ({"authority": "http://10.0.0.1"}, NotPermitted, "http://10.0.0.1 may not be reached"),
    ],
)
async def test_without_a_token_nothing_is_sent(
    store: PetStore, changes: Any, kind: type[ToolError], words: str
) -> None:
    before = [one.target for one in store.requests].count("/protected")
    with pytest.raises(kind) as caught:
        await send(oauth2(store, **changes), "post")
    assert words in caught.value.message
    assert "s3cret" not in caught.value.message
    assert not caught.value.effect_possible
    assert [one.target for one in store.requests].count("/protected") == before


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
