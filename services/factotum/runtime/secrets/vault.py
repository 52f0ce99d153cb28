"""Secrets in HashiCorp Vault or OpenBao: version 2 of the engine `kv`, over its HTTP API.

The secret is `<path>/<tenant>/<name>` under the engine's mount, delegated `<path>/<tenant>/users/<user>/<name>`. Its
value is the field `value`; where there is no such field, the JSON object of all fields.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from typing import Self
from urllib.parse import quote

import httpx2

from factotum.runtime.secrets import names
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.files import USERS
from factotum.runtime.secrets.mask import Known
from factotum.runtime.secrets.vault_session import VaultSession, answered, reached, said
from factotum.runtime.settings import VaultSettings

FIELD = "value"


class Vault:
    """Usable inside of `async with`; asks for its first token when the first secret is asked for."""

    def __init__(
        self, settings: VaultSettings, *, timeout_seconds: float, known: Known, monotonic: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._timeout = timeout_seconds
        self._known = known
        self._monotonic = monotonic

    async def __aenter__(self) -> Self:
        """Raises `OSError` if the file of certificates cannot be read."""
        settings = self._settings
        trusted = ssl.create_default_context(cafile=settings.ca_file)
        self._http = httpx2.AsyncClient(
            base_url=settings.address.rstrip("/"),
            headers={"X-Vault-Request": "true"}
            | ({"X-Vault-Namespace": settings.namespace} if settings.namespace else {}),
            timeout=self._timeout,
            verify=trusted,
            # A proxy that somebody set for other things is not told secrets.
            trust_env=False,
        )
        self._session = VaultSession(settings.login, self._http, known=self._known, monotonic=self._monotonic)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def resolve(self, tenant: str, name: str, *, user: str = "") -> str:
        """See `SecretStore`. Raises `UnknownSecret` also where the policy of the token keeps it from the secret."""
        names.check(tenant, name, user)
        inside = [tenant, USERS, names.folder(user), name] if user else [tenant, name]
        path = "/".join([self._settings.path, *inside]).strip("/")
        token = await self._session.token()
        response = await self._get(path, token)
        if response.status_code == 403:
            another = await self._session.token(instead_of=token)
            if another != token:  # the token was revoked, or came to its end earlier than was said
                response = await self._get(path, another)
        place = f"Vault, with `vault kv put -mount={self._settings.mount} {path} {FIELD}=-`"
        answer = answered(response)
        match response.status_code:
            case 200:
                return _value(answer, path)
            case 404 if not answer.get("errors"):  # of a deleted version it tells the metadata
                raise names.unknown(tenant, name, user, place)
            case 403:
                raise UnknownSecret(
                    f"Vault does not let us read {self._settings.mount}/data/{path}: grant it in the policy of our "
                    f"login, and have the secret in {place}",
                    place=place,
                )
            case status:
                raise SecretsUnavailable(f"Vault answers {status} to {path}: {said(answer)}")

    async def _get(self, path: str, token: str) -> httpx2.Response:
        url = f"/v1/{self._settings.mount}/data/{quote(path)}"
        return await reached(self._http.get(url, headers={"X-Vault-Token": token}))


def _value(answer: dict[str, object], path: str) -> str:
    data = answer.get("data")
    fields = data.get("data") if isinstance(data, dict) else None
    if not isinstance(fields, dict):
        raise SecretsUnavailable(f"Vault's answer to {path} is none of the engine kv, version 2")
    value = fields.get(FIELD, fields)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
