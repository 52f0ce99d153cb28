"""Routes that ask who is there: basic, digest (RFC 7616), and bearer tokens from an OAuth 2 endpoint."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote
from urllib.request import parse_http_list, parse_keqv_list

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

CLIENT_ID, CLIENT_SECRET = "factotum", "cl1ent-s3cret"
_REALM, _NONCE = "pets", "dcd98b7102dd2f0e"
_DIGEST_CHALLENGE = f'Digest realm="{_REALM}", qop="auth", algorithm=SHA-256, nonce="{_NONCE}", opaque="5ccc069c"'


@dataclass(slots=True)
class Guarded:
    """`grants` are the token requests that were granted; each gives another token, good for `expires_in` s."""

    grants: list[dict[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    expires_in: int = 3600

    def serve(self, app: FastAPI) -> None:
        @app.get("/basic-auth/{user}/{password}")
        async def basic(user: str, password: str, request: Request) -> Response:
            wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            if request.headers.get("authorization") != wanted:
                return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="pets"'})
            return JSONResponse({"authenticated": True, "user": user})

        @app.get("/digest-auth/{user}/{password}")
        async def digest(user: str, password: str, request: Request) -> Response:
            if not _digest_holds(request, user, password):
                return Response(status_code=401, headers={"WWW-Authenticate": _DIGEST_CHALLENGE})
            return JSONResponse({"authenticated": True, "user": user})

        @app.get("/protected")
        async def protected(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self.tokens:
                return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
            return JSONResponse({"ok": True})

        @app.get("/.well-known/openid-configuration")
        async def discovery(request: Request) -> dict[str, Any]:
            root = str(request.base_url).rstrip("/")
            return {"issuer": root, "token_endpoint": f"{root}/oauth2/token"}

        @app.post("/oauth2/token")
        async def token(request: Request) -> Response:
            asked = await _form(request)
            if not _client_holds(request, asked):
                return JSONResponse({"error": "invalid_client", "error_description": "who are you?"}, 401)
            if asked.get("grant_type") == "password" and asked.get("password") != "open sesame":
                return JSONResponse({"error": "invalid_grant"}, 400)
            self.grants.append(asked)
            made = f"t0ken-{len(self.grants)}"
            self.tokens.add(made)
            return JSONResponse({"access_token": made, "token_type": "Bearer", "expires_in": self.expires_in})


async def _form(request: Request) -> dict[str, str]:
    if request.headers["content-type"].startswith("application/json"):
        given: dict[str, str] = await request.json()
        return given
    return dict(parse_qsl((await request.body()).decode(), strict_parsing=True))


def _client_holds(request: Request, asked: dict[str, str]) -> bool:
    header = request.headers.get("authorization", "")
    if header.startswith("Basic "):
        given = base64.b64decode(header.removeprefix("Basic ")).decode()
        return [unquote(part) for part in given.split(":")] == [CLIENT_ID, CLIENT_SECRET]
    return (asked.get("client_id"), asked.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)


def _digest_holds(request: Request, user: str, password: str) -> bool:
    header = request.headers.get("authorization", "")
    if not header.startswith("Digest "):
        return False
    given = parse_keqv_list(parse_http_list(header.removeprefix("Digest ")))
    if (given["username"], given["realm"], given["nonce"]) != (user, _REALM, _NONCE):
        return False
    who = _sha256(f"{user}:{_REALM}:{password}")
    what = _sha256(f"{request.method}:{given['uri']}")
    return given["response"] == _sha256(f"{who}:{_NONCE}:{given['nc']}:{given['cnonce']}:{given['qop']}:{what}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
