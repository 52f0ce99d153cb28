"""Tokens by OAuth 2 (RFC 6749), token exchange (RFC 8693) and OpenID Connect Discovery 1.0, kept until they expire.

Clients prove who they are as RFC 6749 §2.3.1 and RFC 7523 §2.2 say. Grants that need a person at a browser
(`authorization_code`) are refused: nobody is there.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote_plus, urljoin

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.protocols.egress import Egress, guarded_client
from factotum.sdk.errors import InvalidArgument, NotPermitted, ToolError, Unavailable
from factotum.sdk.http import reaching

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_WELL_KNOWN = "/.well-known/openid-configuration"
_WORDS_LIMIT = 300
_ASSERTION_SECONDS = 60
# RFC 6749 §5.1 only recommends that an answer says how long its token lives.
_UNSAID_LIFE_SECONDS = 60.0
# A token is asked for anew so long before it expires, or after nine tenths of a short life.
_MARGIN_SECONDS = 30.0
_MOST_TOKENS = 1000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Client(_Part):
    id: str | None = None
    secret: str | None = None
    assertion: str | None = Field(default=None, description="A signed JWT; for private_key_jwt.")
    authentication: Literal[
        "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"
    ] = "client_secret_post"


class GivenToken(_Part):
    token: str
    type: str


class TokenRequest(_Part):
    encoding: Literal["application/x-www-form-urlencoded", "application/json"] = "application/x-www-form-urlencoded"


class Endpoints(_Part):
    token: str = "/oauth2/token"  # noqa: S105 - a path
    revocation: str = "/oauth2/revoke"
    introspection: str = "/oauth2/introspect"


class Oidc(_Part):
    """`authority` is the issuer, or the address of its discovery document."""

    authority: str
    grant: str
    client: Client = Client()
    request: TokenRequest = TokenRequest()
    issuers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = None
    subject: GivenToken | None = Field(
        default=None, description="Whose token is exchanged; for refresh_token, the refresh token."
    )
    actor: GivenToken | None = None


class OAuth2(Oidc):
    endpoints: Endpoints = Endpoints()


@dataclass(frozen=True, slots=True)
class Token:
    """`remembered`: it was asked for by an earlier call."""

    text: str
    expires_at: datetime
    remembered: bool = False


class TokenCache:
    """Tokens by tenant and policy. One is asked for at a time; the least recently used are forgotten."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, Token] = OrderedDict()
        self._asking: dict[str, asyncio.Lock] = {}

    async def get(self, key: str, ask: Callable[[], Any], *, now: Callable[[], datetime], not_: str | None) -> Token:
        """The token that is kept, unless it has expired or is `not_`; else what `ask` gives."""
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                kept = self._tokens.get(key)
                if kept is not None and now() < kept.expires_at and kept.text != not_:
                    self._tokens.move_to_end(key)
                    return replace(kept, remembered=True)
                self._tokens.pop(key, None)
                token: Token = await ask()
                self._tokens[key] = token
                if len(self._tokens) > _MOST_TOKENS:
                    self._tokens.popitem(last=False)
                return token
        finally:
            if not lock.locked():
                self._asking.pop(key, None)


_CACHE = TokenCache()


class TokenSource:
    """Where the tokens of one policy come from. Every error is one without effect.

    Args:
        conceal: is told every token before it is used.
    """

    def __init__(
        self,
        policy: Oidc,
        *,
        tenant: str,
        egress: Egress,
        timeout: float,
        now: Callable[[], datetime],
        conceal: Callable[[str], None],
    ) -> None:
        self._policy = policy
        self._egress = egress
        self._timeout = timeout
        self._now = now
        self._conceal = conceal
        # The policy holds the client's secret; the cache holds only what comes of hashing it.
        text = f"{tenant}\n{type(policy).__name__}\n{policy.model_dump_json()}"
        self._key = hashlib.sha256(text.encode()).hexdigest()

    async def get(self, *, instead_of: Token | None = None) -> Token:
        """Raises `InvalidArgument` for a policy that is not supported, `NotPermitted` with status 401 where the
        token is refused, `Unavailable`."""
        try:
            token = await _CACHE.get(
                self._key, self._ask, now=self._now, not_=None if instead_of is None else instead_of.text
            )
            self._conceal(token.text)
            return token
        except ToolError as error:
            error.effect_possible = False
            raise

    async def _ask(self) -> Token:
        fields = _grant(self._policy)
        async with guarded_client(self._egress, timeout=self._timeout) as http:
            with reaching("the token endpoint"):
                address = await self._endpoint(http)
                headers = _prove(self._policy.client, fields, address, self._now())
                if self._policy.request.encoding == "application/json":
                    response = await http.post(address, json=fields, headers=headers)
                else:
                    response = await http.post(address, data=fields, headers=headers)
        answer = _object(response, f"the token endpoint {address}")
        text, kind = answer.get("access_token"), str(answer.get("token_type", "bearer"))
        if not isinstance(text, str) or kind.lower() != "bearer":
            raise NotPermitted(f"the token endpoint {address} gave no bearer token", status=401)
        _check_issuer(text, self._policy.issuers)
        life = _seconds(answer.get("expires_in"))
        return Token(text, self._now() + timedelta(seconds=max(life - _MARGIN_SECONDS, life * 0.9)))

    async def _endpoint(self, http: httpx2.AsyncClient) -> str:
        authority = self._policy.authority.rstrip("/")
        if isinstance(self._policy, OAuth2):
            path = self._policy.endpoints.token
            return path if "://" in path else urljoin(f"{authority}/", path.lstrip("/"))
        address = authority if authority.endswith(_WELL_KNOWN) else authority + _WELL_KNOWN
        found = _object(await http.get(address, headers={"Accept": "application/json"}), address)
        if self._policy.issuers and found.get("issuer") not in self._policy.issuers:
            raise NotPermitted(f"{address} is of the issuer {found.get('issuer')!r}, none of `issuers`", status=401)
        endpoint = found.get("token_endpoint")
        if not isinstance(endpoint, str):
            raise NotPermitted(f"{address} names no token_endpoint", status=401)
        return endpoint


def _grant(policy: Oidc) -> dict[str, Any]:
    fields: dict[str, Any] = {"grant_type": policy.grant}
    match policy.grant:
        case "client_credentials":
            pass
        case "password":
            fields |= {"username": _given(policy.username, "username"), "password": _given(policy.password, "password")}
        case "refresh_token":
            fields["refresh_token"] = _given(policy.subject, "subject").token
        case grant if grant == _EXCHANGE:
            subject = _given(policy.subject, "subject")
            fields |= {"subject_token": subject.token, "subject_token_type": subject.type}
            if policy.actor is not None:
                fields |= {"actor_token": policy.actor.token, "actor_token_type": policy.actor.type}
        case other:
            supported = f"client_credentials, password, refresh_token, {_EXCHANGE}"
            raise InvalidArgument(f"the grant {other!r} is not supported: use one of {supported}")
    if policy.scopes:
        fields["scope"] = " ".join(policy.scopes)
    if policy.audiences:
        fields["audience"] = policy.audiences[0] if len(policy.audiences) == 1 else list(policy.audiences)
    return fields


def _prove(client: Client, fields: dict[str, Any], address: str, now: datetime) -> dict[str, str]:
    """Adds who the client is to the fields, or gives the headers that say so."""
    headers = {"Accept": "application/json"}
    match client.authentication:
        case "none":
            if client.id is not None:
                fields["client_id"] = client.id
        case "client_secret_post":
            if client.id is not None:
                fields["client_id"] = client.id
            if client.secret is not None:
                fields["client_secret"] = client.secret
        case "client_secret_basic":
            pair = f"{quote_plus(_given(client.id, 'client.id'))}:{quote_plus(_given(client.secret, 'client.secret'))}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        case "client_secret_jwt" if client.assertion is None:
            fields |= {"client_assertion_type": _ASSERTION, "client_assertion": _assertion(client, address, now)}
        case "client_secret_jwt" | "private_key_jwt":
            assertion = _given(client.assertion, "client.assertion")
            fields |= {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
            if client.id is not None:
                fields["client_id"] = client.id
    return headers


def _assertion(client: Client, address: str, now: datetime) -> str:
    """A JWT as RFC 7523 §3 asks for, signed by the client's secret (HS256)."""
    who, secret, issued = _given(client.id, "client.id"), _given(client.secret, "client.secret"), int(now.timestamp())
    claims = {"iss": who, "sub": who, "aud": address, "iat": issued, "exp": issued + _ASSERTION_SECONDS}
    claims["jti"] = hashlib.sha256(f"{who} {address} {now.isoformat()}".encode()).hexdigest()
    head, body = (_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    signature = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _object(response: httpx2.Response, what: str) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if response.is_success and isinstance(answer, dict):
        return answer
    said = answer if isinstance(answer, dict) else {}
    words = " ".join(str(said[key]) for key in ("error", "error_description") if key in said)[:_WORDS_LIMIT]
    message = f"{what} answered {response.status_code}: {words or response.reason_phrase or 'no reason given'}"
    if response.status_code in (408, 429) or response.status_code >= 500:
        raise Unavailable(message)
    raise NotPermitted(message, status=401)


def _check_issuer(token: str, issuers: tuple[str, ...]) -> None:
    """Of a token that is a JWT; whether it is genuine is for the system that takes it to say."""
    parts = token.split(".")
    if not issuers or len(parts) != 3:
        return
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return
    if isinstance(claims, dict) and claims.get("iss") not in issuers:
        raise NotPermitted(f"the token is of the issuer {claims.get('iss')!r}, none of `issuers`", status=401)


def _seconds(value: Any) -> float:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return _UNSAID_LIFE_SECONDS


def _given(value: Any, name: str) -> Any:
    if value is None:
        raise InvalidArgument(f"this authentication needs {name}")
    return value
