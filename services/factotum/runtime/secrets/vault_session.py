"""A token of Vault's: how one is got, kept alive, and got anew. HTTP API of Vault and OpenBao, `/v1/auth`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from factotum.runtime.secrets.errors import SecretsUnavailable
from factotum.runtime.secrets.mask import Known
from factotum.runtime.settings import AppRoleLogin, KubernetesLogin, TokenLogin

# Of a token's life: renewed well before it ends.
_RENEWED_AFTER = 2 / 3
# Seconds for which a token that was just got is not doubted: what it may not read, the next one may not either.
_CERTAIN_SECONDS = 5.0
# A renewal that gives less than this part of the first lease is one of the last.
_LAST = 1 / 2


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    got_at: float
    lease: float  # seconds; 0: it does not end
    first_lease: float
    renewable: bool

    @property
    def renew_at(self) -> float:
        return self.got_at + self.lease * _RENEWED_AFTER if self.lease else float("inf")

    @property
    def ends_at(self) -> float:
        return self.got_at + self.lease if self.lease else float("inf")


class VaultSession:
    """The token of one login.

    Args:
        http: speaks to Vault; its base URL ends before `/v1`.
        known: is told every credential.
    """

    def __init__(
        self,
        login: TokenLogin | KubernetesLogin | AppRoleLogin,
        http: httpx2.AsyncClient,
        *,
        known: Known,
        monotonic: Callable[[], float],
    ) -> None:
        self._login = login
        self._http = http
        self._known = known
        self._monotonic = monotonic
        self._token: _Token | None = None
        self._lock = asyncio.Lock()

    async def token(self, *, instead_of: str = "") -> str:
        """A token that is good now; another than `instead_of` if that was not got just before.

        Raises `SecretsUnavailable`, also where the login is refused: somebody may mend that while runs wait.
        """
        async with self._lock:
            now, kept = self._monotonic(), self._token
            refused = kept is not None and kept.text == instead_of and now >= kept.got_at + _CERTAIN_SECONDS
            if kept is None or refused or now >= kept.ends_at:
                self._token = kept = await self._logged_in()
            elif now >= kept.renew_at:
                self._token = kept = await self._kept_alive(kept)
            return kept.text

    async def _kept_alive(self, token: _Token) -> _Token:
        try:
            if token.renewable:
                answer = await self._ask("POST", "auth/token/renew-self", token=token.text)
                renewed = self._made(answer.get("auth"), first_lease=token.first_lease)
                if renewed.lease >= token.first_lease * _LAST:
                    return renewed
            return await self._logged_in()
        except SecretsUnavailable:
            if self._monotonic() < token.ends_at:
                return token
            return await self._logged_in()

    async def _logged_in(self) -> _Token:
        login = self._login
        match login:
            case TokenLogin():
                text = login.token.get_secret_value() if login.token else await _read(login.token_file)
                self._known.add(text)
                data = (await self._ask("GET", "auth/token/lookup-self", token=text)).get("data")
                if not isinstance(data, dict):
                    raise SecretsUnavailable("Vault does not say what the token is")
                return self._made(
                    {
                        "client_token": text,
                        "lease_duration": data.get("ttl", 0),
                        "renewable": data.get("renewable", False),
                    }
                )
            case KubernetesLogin():
                proof = {"role": login.role, "jwt": await _read(login.token_file)}
                self._known.add(proof["jwt"])
            case AppRoleLogin():
                proof = {"role_id": login.role_id, "secret_id": await _read(login.secret_id_file)}
                self._known.add(proof["secret_id"])
        answer = await self._ask("POST", f"auth/{login.mount}/login", json=proof)
        return self._made(answer.get("auth"))

    def _made(self, auth: Any, first_lease: float = 0.0) -> _Token:
        try:
            text, lease = str(auth["client_token"]), float(auth["lease_duration"])
            token = _Token(text, self._monotonic(), lease, first_lease or lease, bool(auth.get("renewable")))
        except (TypeError, KeyError, ValueError):  # without the cause: it may show what was answered
            raise SecretsUnavailable("Vault answered a login with no token") from None
        self._known.add(token.text)
        return token

    async def _ask(self, method: str, path: str, *, token: str = "", json: Any = None) -> dict[str, Any]:
        headers = {"X-Vault-Token": token} if token else {}
        response = await reached(self._http.request(method, f"/v1/{path}", headers=headers, json=json))
        answer = answered(response)
        if response.status_code != 200:
            raise SecretsUnavailable(f"Vault refuses {path} with {response.status_code}: {said(answer)}")
        return answer


async def reached(request: Any) -> httpx2.Response:
    """What a request to Vault is answered. Raises `SecretsUnavailable`, also for an answer that says come later."""
    try:
        response: httpx2.Response = await request
    except httpx2.HTTPError as error:
        raise SecretsUnavailable(f"Vault does not answer: {type(error).__name__}") from error
    # 503 is sealed or in maintenance, 429 over a quota, 472 and 473 a standby, 412 a standby that lags behind.
    if response.status_code in (412, 429, 472, 473) or response.status_code >= 500:
        raise SecretsUnavailable(f"Vault answers {response.status_code}: {said(answered(response))}")
    if response.is_redirect:
        raise SecretsUnavailable("Vault sends elsewhere: give the address of the node that answers")
    return response


def answered(response: httpx2.Response) -> dict[str, Any]:
    """The JSON object of an answer; empty for what is none."""
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def said(answer: dict[str, Any]) -> str:
    """Vault's own words."""
    errors = answer.get("errors")
    return "; ".join(map(str, errors))[:300] if isinstance(errors, list) and errors else "no reason is given"


async def _read(file: Any) -> str:
    try:
        return str((await asyncio.to_thread(file.read_text, encoding="utf-8")).strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsUnavailable(f"{file}, the proof for Vault, cannot be read: {type(error).__name__}") from None
