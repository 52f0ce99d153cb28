"""What http.request may reach: redirections, origins, addresses."""

from __future__ import annotations

import pytest

from factotum.connectors.protocols.http import HttpSettings
from factotum.sdk import egress
from factotum.sdk.errors import (
    Failed,
    NotPermitted,
)
from tests.support.http_requests import context, send
from tests.support.pet_store import PetStore
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import tool_context


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
