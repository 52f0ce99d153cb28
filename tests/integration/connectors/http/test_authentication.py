"""How http.request proves who calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from factotum.connectors.protocols.http import HttpSettings
from factotum.sdk.errors import (
    InvalidArgument,
    NotPermitted,
    ToolError,
    Unavailable,
)
from tests.support.guarded_http import CLIENT_ID, CLIENT_SECRET
from tests.support.http_requests import LOOPBACK, context, send
from tests.support.pet_store import PetStore
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import NOW, tool_context


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
