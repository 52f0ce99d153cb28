"""An API of parcels on loopback with an OpenAPI 3.0 description: pages of each kind, credentials, keys of effects."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.served_app import served_app

TOKEN = "t0ken"
API_KEY = "k3y-of-parcels"
CLIENT = ("cl1ent", "cl1ent-s3cret")

_TEXT = {"type": "string"}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
_PARCEL = {"$ref": "#/components/schemas/Parcel"}
_ONE = {"200": {"description": "the parcel", "content": {"application/json": {"schema": _PARCEL}}}}
_BODY = {"required": True, "content": {"application/json": {"schema": _PARCEL}}}


def _query(name: str, kind: str = "integer", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}, **more}


def _listed(schema: Any) -> dict[str, Any]:
    return {"200": {"description": "parcels", "content": {"application/json": {"schema": schema}}}}


def _page(items: str) -> dict[str, Any]:
    parcels = {"type": "array", "items": _PARCEL}
    return {"type": "object", "required": [items], "properties": {items: parcels, "next": {**_TEXT, "nullable": True}}}


DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Parcels", "version": "2.4.1"},
    "servers": [{"url": "https://{region}.parcels.example/api", "variables": {"region": {"default": "eu"}}}],
    "security": [{"both": [], "key": []}, {"bearer": []}],
    "paths": {
        "/parcels": {
            "get": {
                "operationId": "parcels/list",
                "summary": "List parcels",
                "tags": ["reading"],
                "parameters": [_query("page"), _query("per_page"), _query("color", "string")],
                "responses": _listed({"type": "array", "items": _PARCEL}),
            },
            "post": {
                "operationId": "parcels/create",
                "summary": "Take a parcel in",
                "tags": ["writing"],
                "requestBody": _BODY,
                "responses": {
                    "201": {
                        "description": "taken in",
                        "headers": {"Location": {"schema": _TEXT}},
                        "content": {"application/json": {"schema": _PARCEL}},
                    },
                    "409": {"description": "there is one of that label"},
                },
            },
        },
        "/parcels/{id}": {
            "parameters": [_ID],
            "get": {"operationId": "parcels/get", "tags": ["reading"], "responses": _ONE},
            "put": {
                "operationId": "parcels/replace",
                "tags": ["writing"],
                "requestBody": _BODY,
                "responses": _ONE,
            },
            "patch": {"operationId": "parcels/amend", "requestBody": _BODY, "responses": _ONE},
            "delete": {
                "operationId": "parcels/delete",
                "tags": ["writing"],
                "responses": {"204": {"description": "gone"}},
            },
        },
        "/search": {
            "get": {
                "operationId": "searchParcels",
                "security": [{"oauth": ["parcels:read"]}],
                "parameters": [_query("cursor", "string"), _query("text", "string")],
                "responses": _listed(_page("items")),
            }
        },
        "/log": {
            "get": {
                "operationId": "readLog",
                "security": [{"inQuery": []}],
                "parameters": [_query("offset"), _query("limit")],
                "responses": _listed(_page("entries")),
            }
        },
        "/label/{id}": {
            "parameters": [_ID, {"name": "X-Printer", "in": "header", "required": True, "schema": _TEXT}],
            "get": {
                "security": [{}],
                "responses": {
                    "200": {"description": "a picture", "content": {"image/png": {"schema": {"type": "string"}}}}
                },
            },
            "post": {
                "operationId": "label",
                "security": [],
                "requestBody": {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
                "responses": {"200": {"description": "printed", "content": {"text/plain": {"schema": _TEXT}}}},
            },
        },
    },
    "components": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "both": {"type": "http", "scheme": "basic"},
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "inQuery": {"type": "apiKey", "in": "query", "name": "key"},
            "oauth": {
                "type": "oauth2",
                "flows": {"clientCredentials": {"tokenUrl": "https://id.parcels.example/token", "scopes": {}}},
            },
        },
        "schemas": {
            "Parcel": {
                "type": "object",
                "required": ["id", "label"],
                "properties": {
                    "id": {"type": "integer", "readOnly": True},
                    "label": {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9 -]+$"},
                    "secretNote": {"type": "string", "writeOnly": True},
                    "weight": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "nullable": True},
                    "color": {"type": "string", "enum": ["red", "blue"], "nullable": True},
                    "tags": {"type": "array", "items": _TEXT},
                    "created": {"type": "string", "format": "date-time"},
                    "inside": {"type": "array", "items": _PARCEL},
                    "carrier": {
                        "oneOf": [{"$ref": "#/components/schemas/Ship"}, {"$ref": "#/components/schemas/Van"}],
                        "discriminator": {"propertyName": "kind", "mapping": {"ship": "#/components/schemas/Ship"}},
                    },
                },
            },
            "Ship": {"type": "object", "required": ["kind"], "properties": {"kind": _TEXT, "port": _TEXT}},
            "Van": {"type": "object", "required": ["kind"], "properties": {"kind": _TEXT, "port": {"type": "integer"}}},
        },
    },
}


@dataclass
class Parcels:
    """A server with `count` parcels. What `answers` holds is answered in turn in place of what it would say itself;
    `lose` are numbers of writes that are carried out and answered by 500."""

    url: str = ""
    parcels: dict[int, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    tokens: int = 0
    lost: int = 0

    def app(self, url: str) -> Starlette:
        self.url = url
        routes = [
            Route("/parcels", self.listed, methods=["GET"]),
            Route("/parcels", self.create, methods=["POST"]),
            Route("/parcels/{id:int}", self.one, methods=["GET", "PUT", "PATCH", "DELETE"]),
            Route("/search", self.search),
            Route("/log", self.log),
            Route("/label/{id:int}", self.label, methods=["GET", "POST"]),
            Route("/token", self.token, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    def fill(self, count: int) -> None:
        self.parcels = {number: {"id": number, "label": f"parcel {number}"} for number in range(1, count + 1)}

    def _scripted(self, request: Request) -> Response | None:
        self.seen.append(request)
        return self.answers.pop(0) if self.answers else None

    async def listed(self, request: Request) -> Response:
        if scripted := self._scripted(request):
            return scripted
        page, size = (int(request.query_params.get(name, default)) for name, default in (("page", 1), ("per_page", 3)))
        found = list(self.parcels.values())[(page - 1) * size : page * size]
        more = page * size < len(self.parcels)
        link = (
            f'<{self.url}/parcels?page={page - 1}>; rel="prev", </parcels?page={page + 1}&per_page={size}>; rel="next"'
        )
        return JSONResponse(found, headers={"Link": link} if more else {})

    async def create(self, request: Request) -> Response:
        given = await request.json()
        if scripted := self._scripted(request):
            return scripted
        key = request.headers.get("idempotency-key", "")
        number = self.keys.get(key)
        if number is None:
            number = max(self.parcels, default=0) + 1
            self.parcels[number] = {"id": number, "created": datetime.now(UTC).isoformat(), **given}
            if key:
                self.keys[key] = number
        if self.lost:
            self.lost -= 1
            return JSONResponse({"message": "something broke"}, 500)
        return JSONResponse(self.parcels[number], 201, headers={"Location": f"/parcels/{number}"})

    async def one(self, request: Request) -> Response:
        if scripted := self._scripted(request):
            return scripted
        number = request.path_params["id"]
        if number not in self.parcels:
            return JSONResponse({"message": "no such parcel"}, 404)
        if request.method == "DELETE":
            del self.parcels[number]
            return Response(status_code=204)
        if request.method in ("PUT", "PATCH"):
            self.parcels[number] = {"id": number, **await request.json()}
        return JSONResponse(self.parcels[number])

    async def search(self, request: Request) -> Response:
        if scripted := self._scripted(request):
            return scripted
        start = int(request.query_params.get("cursor", 0))
        found = list(self.parcels.values())
        rest = str(start + 2) if start + 2 < len(found) else None
        return JSONResponse({"items": found[start : start + 2], "next": rest})

    async def log(self, request: Request) -> Response:
        if scripted := self._scripted(request):
            return scripted
        start, size = (int(request.query_params[name]) for name in ("offset", "limit"))
        return JSONResponse({"entries": list(self.parcels.values())[start : start + size]})

    async def label(self, request: Request) -> Response:
        content = await request.body()
        if scripted := self._scripted(request):
            return scripted
        if request.method == "POST":
            return Response(f"{len(content)} bytes", media_type="text/plain")
        return Response(b"\x89PNG", media_type="image/png")

    async def token(self, request: Request) -> Response:
        proof = base64.b64encode(":".join(CLIENT).encode()).decode()
        if request.headers.get("authorization") != f"Basic {proof}":
            return JSONResponse({"error": "invalid_client"}, 401)
        self.tokens += 1
        scope = (await request.form()).get("scope")
        return JSONResponse({"access_token": f"for {scope}", "token_type": "bearer", "expires_in": 3600})


@asynccontextmanager
async def parcels_api() -> AsyncIterator[Parcels]:
    parcels = Parcels()
    async with served_app(parcels.app):
        yield parcels
