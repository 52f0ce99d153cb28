"""The store of Vault's on a real OpenBao, which has Vault's HTTP API."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from factotum.runtime import clock
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.mask import Known
from factotum.runtime.secrets.vault import Vault
from factotum.runtime.settings import AppRoleLogin, KubernetesLogin, TokenLogin, VaultSettings
from tests.support.certificate import certificate
from tests.support.kubernetes_api import kubernetes_api
from tests.support.openbao import OpenBao, openbao
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import closed_port

LEASE = 60.0


class Clock:
    """Seconds of ours; the server's go on as always."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bao(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenBao]:
    async with openbao(tmp_path_factory.mktemp("bao")) as server:
        await server.put("factotum/acme/identity-token", value="of acme")
        await server.put("factotum/globex/identity-token", value="of globex")
        await server.put("factotum/acme/login", username="ada", password="s3same", pin=7)
        await server.put("factotum/acme/users/ada@acme.example/calendar", value="of ada")
        await server.put("factotum/acme/users/auth0%257C7/calendar", value="of 7")  # as a URL writes auth0%7C7
        await server.policy("factotum", "factotum/*")
        await server.policy("acme", "factotum/acme/*")
        yield server


@asynccontextmanager
async def vault(address: str, login: Any, *, seconds: Clock | None = None, **settings: Any) -> AsyncIterator[Vault]:
    made = VaultSettings(address=address, login=login, **settings)
    async with Vault(made, timeout_seconds=2.0, known=Known(), monotonic=seconds or Clock()) as store:
        yield store


def by_token(token: str) -> TokenLogin:
    return TokenLogin(token=SecretStr(token))


async def test_secrets_of_tenants_and_of_people(bao: OpenBao) -> None:
    async with vault(bao.address, by_token(await bao.token("factotum"))) as store:
        assert await store.resolve("acme", "identity-token") == "of acme"
        assert await store.resolve("globex", "identity-token") == "of globex"
        assert await store.resolve("acme", "calendar", user="ada@acme.example") == "of ada"
        assert await store.resolve("acme", "calendar", user="auth0|7") == "of 7"
        # Without the field `value`: all fields, as what a document looks into.
        assert json.loads(await store.resolve("acme", "login")) == {"username": "ada", "password": "s3same", "pin": 7}


@pytest.mark.parametrize(
    ("tenant", "name", "user", "place"),
    [
        ("acme", "gone", "", "factotum/acme/gone"),
        ("acme", "identity-token", "ada@acme.example", "factotum/acme/users/ada@acme.example/identity-token"),
        ("acme", "calendar", "", "factotum/acme/calendar"),
        ("acme", "calendar", "a/../ada@acme.example", "users/a%2F%2E%2E%2Fada@acme.example/calendar"),
    ],
)
async def test_what_is_not_there_is_named_with_its_place(
    bao: OpenBao, tenant: str, name: str, user: str, place: str
) -> None:
    async with vault(bao.address, by_token(await bao.token("factotum"))) as store:
        with pytest.raises(UnknownSecret) as caught:
            await store.resolve(tenant, name, user=user)
    assert "vault kv put -mount=secret factotum/acme/" in str(caught.value)
    assert place in caught.value.place


async def test_a_deleted_secret_is_not_there_and_a_changed_one_is_new(bao: OpenBao) -> None:
    async with vault(bao.address, by_token(await bao.token("factotum"))) as store:
        await bao.put("factotum/acme/rotated", value="one")
        assert await store.resolve("acme", "rotated") == "one"
        await bao.put("factotum/acme/rotated", value="two")
        assert await store.resolve("acme", "rotated") == "two"
        await bao.ask("DELETE", "secret/data/factotum/acme/rotated")
        with pytest.raises(UnknownSecret):
            await store.resolve("acme", "rotated")


async def test_a_policy_that_does_not_grant_is_said_to_be_one(bao: OpenBao) -> None:
    async with vault(bao.address, by_token(await bao.token("acme"))) as store:
        assert await store.resolve("acme", "identity-token") == "of acme"
        with pytest.raises(UnknownSecret, match="policy of our login"):
            await store.resolve("globex", "identity-token")


async def test_a_token_of_a_file_is_read_again_when_it_was_revoked(bao: OpenBao, tmp_path: Path) -> None:
    file, now = tmp_path / "token", Clock()
    first, second = await bao.token("factotum"), await bao.token("factotum")
    file.write_text(first + "\n")
    async with vault(bao.address, TokenLogin(token_file=file), seconds=now) as store:
        assert await store.resolve("acme", "identity-token") == "of acme"
        await bao.ask("POST", "auth/token/revoke", {"token": first})
        now.now += 10
        with pytest.raises(SecretsUnavailable, match="lookup-self"):
            await store.resolve("acme", "identity-token")
        file.write_text(second)
        assert await store.resolve("acme", "identity-token") == "of acme"
        file.unlink()
        assert await store.resolve("acme", "identity-token") == "of acme"


async def test_a_token_is_renewed_before_it_ends_and_got_anew_when_no_renewal_helps(
    bao: OpenBao, tmp_path: Path
) -> None:
    await bao.ask("POST", "sys/auth/approle", {"type": "approle"})
    role = {"token_policies": "factotum", "token_ttl": f"{LEASE:g}s", "token_max_ttl": f"{LEASE * 1.2:g}s"}
    await bao.ask("POST", "auth/approle/role/factotum", role)
    role_id = (await bao.ask("GET", "auth/approle/role/factotum/role-id"))["data"]["role_id"]
    file, now = tmp_path / "secret-id", Clock()
    file.write_text((await bao.ask("POST", "auth/approle/role/factotum/secret-id"))["data"]["secret_id"])
    login = AppRoleLogin(method="approle", role_id=role_id, secret_id_file=file)
    async with vault(bao.address, login, seconds=now) as store:
        first = await store._session.token()
        assert await store.resolve("acme", "identity-token") == "of acme"
        file.unlink()  # not needed for a renewal
        now.now += LEASE * 0.7
        assert await store._session.token() == first
        assert await store.resolve("acme", "identity-token") == "of acme"
        now.now += LEASE * 0.8  # by its first lease it has ended
        assert await store._session.token() == first
        now.now += LEASE * 2
        with pytest.raises(SecretsUnavailable, match="secret-id"):
            await store.resolve("acme", "identity-token")
        file.write_text((await bao.ask("POST", "auth/approle/role/factotum/secret-id"))["data"]["secret_id"])
        assert await store.resolve("acme", "identity-token") == "of acme"
        assert await store._session.token() != first


async def test_a_renewal_that_is_one_of_the_last_is_not_relied_upon(tmp_path: Path) -> None:
    def auth(token: str, seconds: int) -> Answer:
        return Answer(
            200, json.dumps({"auth": {"client_token": token, "lease_duration": seconds, "renewable": True}}).encode()
        )

    file, now = tmp_path / "secret-id", Clock()
    file.write_text("the-secret-id")
    data = Answer(200, b'{"data": {"data": {"value": "of acme"}}}')
    login = AppRoleLogin(method="approle", role_id="0b1c", secret_id_file=file)
    answers = [auth("first-token", 100), data, auth("first-token", 40), auth("second-token", 100), data]
    async with scripted_http(*answers) as server, vault(server.url, login, seconds=now) as store:
        for _ in range(2):
            assert await store.resolve("acme", "identity-token") == "of acme"
            now.now += 70
        targets = [target.removeprefix("/v1/") for _, target, _, _ in server.requests]
        assert targets[2:4] == ["auth/token/renew-self", "auth/approle/login"]
        assert server.requests[-1][2]["x-vault-token"] == "second-token"


async def test_the_service_account_of_kubernetes_logs_in(bao: OpenBao, tmp_path: Path) -> None:
    proof = certificate(tmp_path, clock.now())
    with kubernetes_api(proof) as api:
        api.token = _jwt()
        await bao.ask("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        config = {
            "kubernetes_host": api.url,
            "kubernetes_ca_cert": proof.read_text(),
            "disable_local_ca_jwt": True,
            "token_reviewer_jwt": api.token,
        }
        await bao.ask("POST", "auth/kubernetes/config", config)
        bound = {
            "bound_service_account_names": ["tool-executor"],
            "bound_service_account_namespaces": ["factotum"],
            "token_policies": ["factotum"],
        }
        await bao.ask("POST", "auth/kubernetes/role/factotum", bound)
        file = tmp_path / "token"
        file.write_text(api.token)
        async with vault(bao.address, KubernetesLogin(method="kubernetes", role="factotum", token_file=file)) as store:
            assert await store.resolve("acme", "identity-token") == "of acme"
        async with vault(bao.address, KubernetesLogin(method="kubernetes", role="nobody", token_file=file)) as store:
            with pytest.raises(SecretsUnavailable, match="auth/kubernetes/login with 400"):
                await store.resolve("acme", "identity-token")


async def test_a_namespace_is_a_vault_of_its_own(bao: OpenBao) -> None:
    await bao.ask("POST", "sys/namespaces/team", {})
    await bao.ask("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, namespace="team")
    await bao.put("factotum/acme/identity-token", namespace="team", value="of the team's acme")
    async with vault(bao.address, by_token("root-of-the-test"), namespace="team") as store:
        assert await store.resolve("acme", "identity-token") == "of the team's acme"


@pytest.mark.parametrize("settings", [{"mount": "nowhere"}, {"mount": "cubbyhole"}])
async def test_an_engine_that_is_not_there_is_a_fault_of_the_store(bao: OpenBao, settings: dict[str, str]) -> None:
    async with vault(bao.address, by_token("root-of-the-test"), **settings) as store:
        with pytest.raises((SecretsUnavailable, UnknownSecret)):
            await store.resolve("acme", "identity-token")


async def test_a_wrong_token_shows_nothing_of_itself(bao: OpenBao) -> None:
    async with vault(bao.address, by_token("s.hunter2-hunter2")) as store:
        with pytest.raises(SecretsUnavailable, match="permission denied") as caught:
            await store.resolve("acme", "identity-token")
    assert "hunter2" not in str(caught.value)


async def test_a_sealed_vault_is_away_until_it_is_unsealed(bao: OpenBao) -> None:
    async with vault(bao.address, by_token(await bao.token("factotum"))) as store:
        assert await store.resolve("acme", "identity-token") == "of acme"
        await bao.seal()
        try:
            with pytest.raises(SecretsUnavailable, match="503"):
                await store.resolve("acme", "identity-token")
        finally:
            await bao.unseal()
        assert await store.resolve("acme", "identity-token") == "of acme"


async def test_a_vault_that_does_not_answer_is_away() -> None:
    async with vault(f"http://127.0.0.1:{closed_port()}", by_token("x-token")) as store:
        with pytest.raises(SecretsUnavailable, match="does not answer"):
            await store.resolve("acme", "identity-token")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, b'{"errors": ["request path rate limit quota exceeded"]}'),
        Answer(472, b"{}"),
        Answer(412, b""),
        Answer(500, b"<html>"),
        Answer(307, b"", {"Location": "http://127.0.0.1:1/"}),
        Answer(200, b"<html>"),
        Answer(200, b'{"data": {"value": "version 1"}}'),
        Answer(200, b"[]"),
        Answer(drop=True),
    ],
    ids=lambda answer: f"{answer.status}-{len(answer.body)}-{answer.drop}",
)
async def test_what_no_vault_in_order_answers_is_a_reason_to_ask_later(answer: Answer) -> None:
    known = Answer(200, b'{"data": {"ttl": 0, "renewable": false}}')
    async with scripted_http(known, answer) as server, vault(server.url, by_token("x-token")) as store:
        with pytest.raises(SecretsUnavailable):
            await store.resolve("acme", "identity-token")
        assert server.requests[0][2]["x-vault-token"] == "x-token"


def _jwt() -> str:
    claims = {
        "iss": "kubernetes/serviceaccount",
        "sub": "system:serviceaccount:factotum:tool-executor",
        "kubernetes.io/serviceaccount/namespace": "factotum",
        "kubernetes.io/serviceaccount/service-account.name": "tool-executor",
        "kubernetes.io/serviceaccount/service-account.uid": "0b1c",
    }
    parts = [json.dumps({"alg": "RS256", "typ": "JWT"}), json.dumps(claims), "signature"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
