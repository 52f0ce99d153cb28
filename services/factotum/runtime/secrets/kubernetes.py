"""Secrets of Kubernetes, over its API: `GET /api/v1/namespaces/{namespace}/secrets/{name}`.

One object a tenant, `<prefix>.<tenant>`, and one a person, `<prefix>.<tenant>.user-<user>`; the keys of its data are
the secrets' names. In a user's name all but small letters and digits is `-` and the two hexadecimal digits of each
byte of its UTF-8. What is mounted as a folder needs none of this: it is read as files.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Any, Self

import httpx2

from factotum.runtime.secrets import names
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.mask import Known
from factotum.runtime.settings import KubernetesSettings

# Of an object's name (RFC 1123 subdomain).
_LONGEST_NAME = 253


class KubernetesSecrets:
    """Usable inside of `async with`. The service account's token is read for every request: it is renewed on disk."""

    def __init__(self, settings: KubernetesSettings, *, timeout_seconds: float, known: Known) -> None:
        self._settings = settings
        self._timeout = timeout_seconds
        self._known = known

    async def __aenter__(self) -> Self:
        """Raises `OSError` if the certificate of the API server's authority cannot be read."""
        trusted = ssl.create_default_context(cafile=self._settings.ca_file)
        self._http = httpx2.AsyncClient(
            base_url=self._settings.server.rstrip("/"), timeout=self._timeout, verify=trusted, trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def resolve(self, tenant: str, name: str, *, user: str = "") -> str:
        """See `SecretStore`. Raises `UnknownSecret` also where the service account may not read the object."""
        names.check(tenant, name, user)
        namespace = self._settings.namespace or await _read(self._settings.namespace_file)
        owner = f"{self._settings.prefix}.{tenant}" + (f".user-{_encoded(user)}" if user else "")
        if len(owner) > _LONGEST_NAME:
            raise UnknownSecret(f"the user {user!r} is too long for the name of a Secret of Kubernetes")
        place = f"the key {name} of the Secret {owner} in the namespace {namespace}"
        token = await _read(self._settings.token_file)
        self._known.add(token)
        url = f"/api/v1/namespaces/{namespace}/secrets/{owner}"
        try:
            response = await self._http.get(url, headers={"Authorization": f"Bearer {token}"})
        except httpx2.HTTPError as error:
            raise SecretsUnavailable(f"the API of Kubernetes does not answer: {type(error).__name__}") from error
        match response.status_code:
            case 200:
                return _value(response, name, names.unknown(tenant, name, user, place))
            case 404:
                raise names.unknown(tenant, name, user, place)
            case 403:
                raise UnknownSecret(
                    f"Kubernetes does not let us read the Secret {owner}: let the service account `get` it, and have "
                    f"the secret in {place}",
                    place=place,
                )
            case status:
                raise SecretsUnavailable(f"the API of Kubernetes answers {status} to {url}")


def _value(response: httpx2.Response, name: str, missing: UnknownSecret) -> str:
    try:
        data: dict[str, Any] = response.json().get("data") or {}
        encoded = data.get(name)
        value = None if encoded is None else base64.b64decode(encoded, validate=True).decode()
    except (ValueError, TypeError, AttributeError):  # without the cause: it may hold the value
        raise SecretsUnavailable(f"what Kubernetes has as {name} is no text") from None
    if value is None:
        raise missing
    return value


def _encoded(user: str) -> str:
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(chr(byte) if byte in plain else f"-{byte:02x}" for byte in user.encode())


async def _read(file: Path) -> str:
    try:
        return (await asyncio.to_thread(file.read_text, encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsUnavailable(f"{file} of the service account cannot be read: {type(error).__name__}") from None
