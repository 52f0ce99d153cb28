"""The store of Kubernetes's Secrets, on what the reference says of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from factotum.runtime import clock
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.kubernetes import KubernetesSecrets
from factotum.runtime.secrets.mask import Known
from factotum.runtime.settings import KubernetesSettings
from tests.support.certificate import certificate
from tests.support.kubernetes_api import KubernetesApi, kubernetes_api


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service account's folder, with the authority that the server's certificate is of."""
    folder = tmp_path_factory.mktemp("serviceaccount")
    certificate(folder, clock.now()).rename(folder / "ca.crt")
    (folder / "namespace").write_text("factotum")
    return folder


@pytest.fixture
def api(account: Path) -> Iterator[KubernetesApi]:
    with kubernetes_api(account / "ca.crt") as served:
        served.secrets["factotum", "factotum.acme"] = {
            "identity-token": b"of acme",
            "key": "ä\n".encode(),
            "raw": b"\xff",
        }
        served.secrets["factotum", "factotum.acme.user-ada-40acme-2eexample"] = {"calendar": b"of ada"}
        served.secrets["other", "factotum.acme"] = {"identity-token": b"of another namespace"}
        (account / "token").write_text(served.token)
        yield served


@asynccontextmanager
async def store(api: KubernetesApi, account: Path, **settings: object) -> AsyncIterator[KubernetesSecrets]:
    files = {"token_file": account / "token", "ca_file": account / "ca.crt", "namespace_file": account / "namespace"}
    made = KubernetesSettings.model_validate({"server": api.url, **files, **settings})
    async with KubernetesSecrets(made, timeout_seconds=2.0, known=Known()) as opened:
        yield opened


async def test_secrets_of_tenants_and_of_people(api: KubernetesApi, account: Path) -> None:
    async with store(api, account) as secrets:
        assert await secrets.resolve("acme", "identity-token") == "of acme"
        assert await secrets.resolve("acme", "key") == "ä\n"
        assert await secrets.resolve("acme", "calendar", user="ada@acme.example") == "of ada"
    async with store(api, account, namespace="other") as secrets:
        assert await secrets.resolve("acme", "identity-token") == "of another namespace"


async def test_what_is_not_there_is_named_with_its_place(api: KubernetesApi, account: Path) -> None:
    async with store(api, account) as secrets:
        with pytest.raises(UnknownSecret, match=r"the key gone of the Secret factotum\.acme in the namespace factotum"):
            await secrets.resolve("acme", "gone")
        with pytest.raises(UnknownSecret, match=r"the Secret factotum\.globex"):
            await secrets.resolve("globex", "identity-token")
        with pytest.raises(UnknownSecret, match=r"the Secret factotum\.acme\.user-ada in"):
            await secrets.resolve("acme", "identity-token", user="ada")
        with pytest.raises(UnknownSecret, match="too long"):
            await secrets.resolve("acme", "identity-token", user="@" * 100)


async def test_a_tenants_name_never_means_a_person_of_another(api: KubernetesApi, account: Path) -> None:
    async with store(api, account) as secrets:
        for tenant in ("acme-user-ada", "acme.user-ada"):
            with pytest.raises(UnknownSecret):
                await secrets.resolve(tenant, "calendar")
    assert not any(path.endswith("factotum.acme.user-ada") for path in api.asked)


async def test_what_the_account_may_not_get_is_said_to_be_that(api: KubernetesApi, account: Path) -> None:
    api.readable = {"factotum.globex"}
    async with store(api, account) as secrets:
        with pytest.raises(UnknownSecret, match="let the service account `get` it"):
            await secrets.resolve("acme", "identity-token")


async def test_the_token_is_read_anew_and_a_refused_one_is_no_verdict(api: KubernetesApi, account: Path) -> None:
    async with store(api, account) as secrets:
        api.token = "the-next-token"
        with pytest.raises(SecretsUnavailable, match="401"):
            await secrets.resolve("acme", "identity-token")
        (account / "token").write_text("the-next-token")
        assert await secrets.resolve("acme", "identity-token") == "of acme"
        (account / "token").unlink()
        with pytest.raises(SecretsUnavailable, match="service account"):
            await secrets.resolve("acme", "identity-token")


async def test_what_is_no_text_shows_nothing_of_itself(api: KubernetesApi, account: Path) -> None:
    async with store(api, account) as secrets:
        with pytest.raises(SecretsUnavailable, match="raw is no text") as caught:
            await secrets.resolve("acme", "raw")
    assert caught.value.__cause__ is None


async def test_an_api_that_is_away_is_away(api: KubernetesApi, account: Path) -> None:
    async with store(api, account) as secrets:
        api.down = 500
        with pytest.raises(SecretsUnavailable, match="500"):
            await secrets.resolve("acme", "identity-token")


async def test_only_the_authority_of_the_account_is_trusted(api: KubernetesApi, account: Path, tmp_path: Path) -> None:
    other = certificate(tmp_path, clock.now())
    async with store(api, account, ca_file=other) as secrets:
        with pytest.raises(SecretsUnavailable, match="does not answer"):
            await secrets.resolve("acme", "identity-token")
    assert api.asked == []
