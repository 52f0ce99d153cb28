"""What the settings choose, as processes read them from their environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from factotum.runtime.secrets import stores
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.mask import Known
from factotum.runtime.settings import AppRoleLogin, KubernetesLogin, ProcessSettings, SecretsSettings, TokenLogin
from tests.support.tool_calls import closed_port


class Settings(ProcessSettings):
    secrets: SecretsSettings = SecretsSettings()


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> SecretsSettings:
    for name, value in variables.items():
        monkeypatch.setenv(f"FACTOTUM_SECRETS__{name}", value)
    return Settings().secrets


async def test_stores_are_asked_in_the_order_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/one").write_text("one of a file")
    (tmp_path / "acme/two").write_text("two of a file")
    environment = {"FACTOTUM_SECRET__ACME__ONE": "one of the environment"}
    settings = read(monkeypatch, PROVIDERS='["environment", "files"]', DIRECTORY=str(tmp_path))
    known = Known()
    async with stores.opened(settings, environment=environment, known=known, monotonic=lambda: 0.0) as secrets:
        assert await secrets.resolve("acme", "one") == "one of the environment"
        assert await secrets.resolve("acme", "two") == "two of a file"
        with pytest.raises(UnknownSecret) as caught:
            await secrets.resolve("acme", "three")
        places = f"put its value into the variable FACTOTUM_SECRET__ACME__THREE, or into {tmp_path / 'acme/three'}"
        assert str(caught.value).endswith(places)
    assert known.text("one of the environment") == "***"


async def test_a_vault_and_a_kubernetes_that_are_away_stop_no_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("token")
    away = f"http://127.0.0.1:{closed_port()}"
    settings = read(
        monkeypatch,
        PROVIDERS='["vault", "kubernetes"]',
        VAULT__ADDRESS=away,
        VAULT__LOGIN=json.dumps({"method": "token", "token_file": str(tmp_path / "token")}),
        KUBERNETES__SERVER=away,
        KUBERNETES__CA_FILE="/etc/ssl/certs/ca-certificates.crt",
    )
    async with stores.opened(settings, environment={}, known=Known(), monotonic=lambda: 0.0) as secrets:
        with pytest.raises(SecretsUnavailable, match="Vault does not answer"):
            await secrets.resolve("acme", "one")


def test_logins_are_told_apart_by_their_method(monkeypatch: pytest.MonkeyPatch) -> None:
    login = read(monkeypatch).vault.login
    assert isinstance(login, TokenLogin)
    login = read(monkeypatch, VAULT__LOGIN__METHOD="kubernetes", VAULT__LOGIN__ROLE="factotum").vault.login
    assert isinstance(login, KubernetesLogin)
    assert login.role == "factotum"
    monkeypatch.delenv("FACTOTUM_SECRETS__VAULT__LOGIN__ROLE")
    login = read(
        monkeypatch,
        VAULT__LOGIN__METHOD="approle",
        VAULT__LOGIN__ROLE_ID="0b1c",
        VAULT__LOGIN__SECRET_ID_FILE="/run/secret-id",
    ).vault.login
    assert isinstance(login, AppRoleLogin)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROVIDERS", "[]"),
        ("PROVIDERS", '["vaults"]'),
        ("PROVIDERS", "files"),
        ("VAULT__LOGIN__METHOD", "password"),
        ("VAULT__MOUNTS", "secret"),
        ("CACHE_SECONDS", "-1"),
        ("TIMEOUT_SECONDS", "0"),
    ],
)
def test_what_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises((ValidationError, SettingsError)):
        read(monkeypatch, **{name: value})


def test_a_token_in_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, VAULT__LOGIN__METHOD="token", VAULT__LOGIN__TOKEN="s.hunter2-hunter2")
    assert isinstance(settings.vault.login, TokenLogin)
    assert settings.vault.login.token is not None
    assert settings.vault.login.token.get_secret_value() == "s.hunter2-hunter2"
    assert "hunter2" not in repr(settings)
