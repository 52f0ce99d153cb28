"""What a call of a described operation proves itself with: credentials of the settings, sent as the document says.

A document names its schemes (`components.securitySchemes`) and gives each operation alternatives of them; the first
alternative whose schemes all have credentials is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.protocols.authentication import Authentication, Bearer, UserPassword, http_auth
from factotum.connectors.protocols.egress import Egress
from factotum.connectors.protocols.exchange import Sending, checked_headers
from factotum.connectors.protocols.oauth2 import Client, Endpoints, OAuth2
from factotum.connectors.protocols.openapi_document import followed
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import InvalidArgument

Kind = Literal["basic", "bearer", "header", "query", "cookie", "oauth2"]
Reference = str
_REFERENCE = r"^secret://.+"
_PARTS: dict[Kind, tuple[str, ...]] = {
    "basic": ("username", "password"),
    "bearer": ("token",),
    "header": ("token",),
    "query": ("token",),
    "cookie": ("token",),
    "oauth2": ("client_id", "client_secret"),
}


class Credential(BaseModel):
    """What is proved with, for one scheme. `kind` and `name` say how it is sent where the document does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind | None = None
    name: str = Field(default="", description="Of the header, the query parameter or the cookie.")
    token: Reference = Field(
        default="", pattern=rf"^$|{_REFERENCE}", description="secret://… of a token or an API key."
    )
    username: str = Field(default="", description="As it is, or secret://….")
    password: Reference = Field(default="", pattern=rf"^$|{_REFERENCE}")
    client_id: str = Field(default="", description="As it is, or secret://….")
    client_secret: Reference = Field(default="", pattern=rf"^$|{_REFERENCE}")
    client_authentication: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    token_url: str = Field(default="", description="In place of the document's.")
    scopes: tuple[str, ...] | None = Field(default=None, description="In place of those the operation asks for.")


@dataclass(frozen=True, slots=True)
class Proof:
    """A credential and how it is sent."""

    kind: Kind
    credential: Credential
    name: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()


def proofs(
    security: Iterable[Mapping[str, tuple[str, ...]]] | None,
    document: Mapping[str, Any],
    credentials: Mapping[str, Credential],
) -> tuple[Proof, ...]:
    """What is sent with each call of an operation with these alternatives.

    Where the document says nothing, whatever the settings say how to send is sent. Raises `InvalidArgument` where no
    alternative has all its credentials.
    """
    schemes = (document.get("components") or {}).get("securitySchemes") or {}
    own = [(name, one) for name, one in credentials.items() if one.kind is not None and name not in schemes]
    if security is None:
        return tuple(_proof(name, {}, one, ()) for name, one in own)
    alternatives = list(security)
    if not alternatives:
        return ()
    for alternative in sorted(alternatives, key=lambda one: not one):  # to be anonymous is the last choice
        if all(name in credentials for name in alternative):
            return tuple(
                _proof(name, followed(document, schemes.get(name, {})), credentials[name], scopes)
                for name, scopes in alternative.items()
            )
    if own:
        return tuple(_proof(name, {}, one, ()) for name, one in own)
    words = "; or ".join(" and ".join(one) for one in alternatives if one)
    raise InvalidArgument(f"it needs credentials that are not set under auth: {words or 'of no scheme'}")


def _proof(name: str, scheme: Mapping[str, Any], credential: Credential, scopes: tuple[str, ...]) -> Proof:
    kind, where, token_url = credential.kind or _kind(name, scheme), str(scheme.get("name", "")), ""
    if kind == "oauth2":
        flow = (scheme.get("flows") or {}).get("clientCredentials") or {}
        token_url = credential.token_url or str(flow.get("tokenUrl", ""))
        if credential.token and not credential.client_id:
            kind = "bearer"
        elif "://" not in token_url:
            raise InvalidArgument(f"auth.{name} needs token_url: the document gives no address to ask for tokens at")
    proof = Proof(
        kind=kind,
        credential=credential,
        name=credential.name or where,
        token_url=token_url,
        scopes=scopes if credential.scopes is None else credential.scopes,
    )
    lacking = [part for part in _PARTS[kind] if not getattr(credential, part)]
    if lacking:
        raise InvalidArgument(f"auth.{name} is sent as {kind} and needs {', '.join(lacking)}")
    if kind in ("header", "query", "cookie") and not proof.name:
        raise InvalidArgument(f"auth.{name} needs name: that of the {kind}")
    return proof


def _kind(name: str, scheme: Mapping[str, Any]) -> Kind:
    match scheme.get("type"), str(scheme.get("scheme", "")).lower(), scheme.get("in"):
        case "http", "basic", _:
            return "basic"
        case "http", "bearer", _:
            return "bearer"
        case "apiKey", _, ("header" | "query" | "cookie") as where:
            found: Kind = where
            return found
        case (("oauth2" | "openIdConnect"), _, _):
            return "oauth2"
    raise InvalidArgument(f"the scheme {name} is of no kind that is supported: give auth.{name}.kind")


async def proved(
    sending: Sending, given: Iterable[Proof], context: ToolContext[Any], egress: Egress, *, timeout: float
) -> tuple[Sending, httpx2.Auth | None]:
    """The request with the credentials, and what a client is given as `auth`. Secrets are resolved here.

    Raises `NotPermitted` for a secret that is not there, `InvalidArgument` for one that cannot be sent.
    """
    url, headers, cookies, auth = sending.url, list(sending.headers), [], None
    for proof in given:
        credential = proof.credential
        match proof.kind:
            case "header":
                headers += checked_headers({proof.name: context.secret(credential.token)})
            case "query":
                kept = [pair for pair in url.params.multi_items() if pair[0] != proof.name]
                url = url.copy_with(params=[*kept, (proof.name, context.secret(credential.token))])
            case "cookie":
                cookies.append(f"{proof.name}={context.secret(credential.token)}")
            case _:
                auth = await http_auth(_policy(proof, context), context, egress, timeout=timeout)
    if cookies:
        before = [value for name, value in headers if name.lower() == "cookie"]
        headers = [pair for pair in headers if pair[0].lower() != "cookie"]
        headers += checked_headers({"Cookie": "; ".join([*before, *cookies])})
    return Sending(sending.method, url, headers, sending.content), auth


def _policy(proof: Proof, context: ToolContext[Any]) -> Authentication:
    credential = proof.credential
    if proof.kind == "bearer":
        return Authentication(bearer=Bearer(token=context.secret(credential.token)))
    if proof.kind == "basic":
        password = context.secret(credential.password)
        return Authentication(basic=UserPassword(username=_plain(credential.username, context), password=password))
    client = Client(
        id=_plain(credential.client_id, context),
        secret=context.secret(credential.client_secret),
        authentication=credential.client_authentication,
    )
    return Authentication(
        oauth2=OAuth2(
            authority=proof.token_url,
            grant="client_credentials",
            client=client,
            endpoints=Endpoints(token=proof.token_url),
            scopes=proof.scopes,
        )
    )


def _plain(text: str, context: ToolContext[Any]) -> str:
    return context.secret(text) if text.startswith("secret://") else text
