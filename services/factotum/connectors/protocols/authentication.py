"""Authentication policies of DSL 1.0.3, as they come in a call's arguments: what they add to a request.

A scheme is written out (`basic: {username: …, password: …}`) or names a secret (`basic: {use: mySecret}`), which
is then a JSON object of the same properties; a bearer's may be the token itself.

For HTTP, `http_auth` gives what answers a challenge and renews a token; for all else, `authorization` gives the
value of an `authorization` header or of such metadata.
"""

from __future__ import annotations

import base64
from typing import Any, Self, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import from_json

from factotum.connectors.protocols import oauth2
from factotum.connectors.protocols.egress import Egress
from factotum.connectors.protocols.oauth2 import OAuth2, Oidc
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import InvalidArgument

M = TypeVar("M", bound=BaseModel)

_SUPPORTED = "basic, bearer, digest, oauth2, oidc"


class _Part(BaseModel):
    # A password that looks like a number is one in YAML, unless it is quoted.
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class FromSecret(_Part):
    """`use` is the bare name of a secret that the document declares."""

    use: str


class UserPassword(_Part):
    username: str
    password: str


class Bearer(_Part):
    token: str


class Authentication(_Part):
    """A policy: one scheme, and no other. `use` is the name of a policy that the caller should have replaced."""

    use: str | None = None
    basic: UserPassword | FromSecret | None = None
    bearer: Bearer | FromSecret | None = None
    digest: UserPassword | FromSecret | None = None
    oauth2: OAuth2 | FromSecret | None = None
    oidc: Oidc | FromSecret | None = None
    certificate: Any = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"give one scheme: {_SUPPORTED}")
        return self


async def http_auth(
    policy: Authentication | None, context: ToolContext[Any], egress: Egress, *, timeout: float
) -> httpx2.Auth | None:
    """What a client of one call is given as its `auth`; a token is asked for when the request is sent.

    Raises `InvalidArgument` for a policy that is not supported or cannot be read, `NotPermitted` for a secret that
    is not declared. What comes of asking for a token is raised by the request, always without effect.
    """
    if policy is not None and policy.digest is not None:
        given = _inline(policy.digest, UserPassword, "digest", context)
        return httpx2.DigestAuth(given.username, given.password)
    if policy is not None and (token := _token(policy, context, egress, timeout=timeout)) is not None:
        return _Renewed(token)
    header = await authorization(policy, context, egress, timeout=timeout)
    return None if header is None else _Header(header)


async def authorization(
    policy: Authentication | None, context: ToolContext[Any], egress: Egress, *, timeout: float
) -> str | None:
    """The value of an `authorization` header; None without a policy. A token is asked for, or taken from the cache.

    Raises what `http_auth` does; `InvalidArgument` for digest, which answers a challenge of HTTP; `NotPermitted`
    with status 401, or `Unavailable`, where no token is to be had. No error leaves an effect possible.
    """
    if policy is None:
        return None
    if policy.basic is not None:
        given = _inline(policy.basic, UserPassword, "basic", context)
        return "Basic " + base64.b64encode(f"{given.username}:{given.password}".encode()).decode()
    if policy.bearer is not None:
        return f"Bearer {_inline(policy.bearer, Bearer, 'bearer', context).token}"
    if policy.digest is not None:
        raise InvalidArgument("digest authentication is HTTP's: use basic, bearer, oauth2 or oidc here")
    if policy.use is not None:
        raise InvalidArgument(f"there is no authentication {policy.use!r} under use.authentications of the document")
    token = _token(policy, context, egress, timeout=timeout)
    if token is None:
        raise InvalidArgument(f"certificate authentication is not supported: use one of {_SUPPORTED}")
    return f"Bearer {(await token.get()).text}"


def _token(
    policy: Authentication, context: ToolContext[Any], egress: Egress, *, timeout: float
) -> oauth2.TokenSource | None:
    if policy.oauth2 is not None:
        given: OAuth2 | Oidc = _inline(policy.oauth2, OAuth2, "oauth2", context)
    elif policy.oidc is not None:
        given = _inline(policy.oidc, Oidc, "oidc", context)
    else:
        return None
    return oauth2.TokenSource(
        given, tenant=context.tenant, egress=egress, timeout=timeout, now=context.now, conceal=context.conceal
    )


def _inline(given: BaseModel, model: type[M], scheme: str, context: ToolContext[Any]) -> M:
    if isinstance(given, model):
        return given
    assert isinstance(given, FromSecret)
    text = context.declared_secret(given.use)
    try:
        value = from_json(text)
    except ValueError:
        value = text
    if scheme == "bearer" and not isinstance(value, dict):
        value = {"token": text}
    try:
        return model.model_validate(value)
    except ValidationError as error:
        places = ", ".join("/".join(map(str, fault["loc"])) or "the whole" for fault in error.errors())
        # Without the cause: its text would hold what the secret holds.
        raise InvalidArgument(
            f"the secret {given.use!r} is no configuration of {scheme}, a JSON object: see {places}"
        ) from None


class _Header(httpx2.Auth):
    def __init__(self, value: str) -> None:
        self._value = value

    def auth_flow(self, request: httpx2.Request) -> Any:
        request.headers["Authorization"] = self._value
        yield request


class _Renewed(httpx2.Auth):
    """A token, and another one where the system says that it takes the remembered one no more."""

    def __init__(self, source: oauth2.TokenSource) -> None:
        self._source = source

    async def async_auth_flow(self, request: httpx2.Request) -> Any:
        token = await self._source.get()
        request.headers["Authorization"] = f"Bearer {token.text}"
        response = yield request
        if response.status_code == 401 and token.remembered:
            token = await self._source.get(instead_of=token)
            request.headers["Authorization"] = f"Bearer {token.text}"
            yield request
