"""A pet store on loopback, with all that a call over HTTP can meet: see the routes.

It stands in for the public one that the conformance kit calls, and for its `basic-auth`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qsl

import yaml
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from factotum.dev.sandbox.process import serve_http
from tests.support import pet_store_documents
from tests.support.guarded_http import Guarded


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came in; `target` is the path with the query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class PetStore:
    """A store that serves: pets 1 and 2 are there, 1 is available."""

    url: str
    requests: list[Seen] = field(default_factory=list)
    pets: dict[int, dict[str, Any]] = field(
        default_factory=lambda: {
            1: {"id": 1, "name": "Rex", "status": "available"},
            2: {"id": 2, "name": "Tom", "status": "sold"},
        }
    )
    guarded: Guarded = field(default_factory=Guarded)

    @property
    def host(self) -> str:
        """With the port."""
        return self.url.partition("://")[2]

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None, redirect_slashes=False)

        @app.middleware("http")
        async def noted(request: Request, go_on: Any) -> Response:
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            self.requests.append(Seen(request.method, target, dict(request.headers), await request.body()))
            answer: Response = await go_on(request)
            return answer

        self._serve_pets(app)
        self._serve_documents(app)
        _serve_oddities(app)
        self.guarded.serve(app)
        return app

    def _serve_pets(self, app: FastAPI) -> None:
        @app.get("/v2/pet/findByStatus")
        async def find(status: Annotated[list[str], Query()]) -> list[dict[str, Any]]:
            return [pet for pet in self.pets.values() if pet["status"] in status]

        @app.get("/v2/pet/{pet_id}")
        async def get(pet_id: int) -> Response:
            return JSONResponse(self.pets[pet_id]) if pet_id in self.pets else _no_pet()

        @app.post("/v2/pet")
        async def add(request: Request) -> dict[str, Any]:
            pet = {"id": max(self.pets) + 1, "status": "available", **await request.json()}
            self.pets[pet["id"]] = pet
            return pet

        @app.post("/v2/pet/{pet_id}")
        async def update(pet_id: int, request: Request) -> Response:
            if pet_id not in self.pets:
                return _no_pet()
            self.pets[pet_id].update(parse_qsl((await request.body()).decode(), strict_parsing=True))
            return JSONResponse(self.pets[pet_id])

        @app.delete("/v2/pet/{pet_id}")
        async def delete(pet_id: int) -> Response:
            return Response() if self.pets.pop(pet_id, None) else _no_pet()

    def _serve_documents(self, app: FastAPI) -> None:
        @app.get("/v2/swagger.json")
        async def swagger() -> dict[str, Any]:
            return pet_store_documents.swagger_2(self.host)

        @app.get("/v3/openapi.json")
        async def openapi() -> dict[str, Any]:
            return pet_store_documents.openapi_3()

        @app.get("/v3/openapi.yaml")
        async def openapi_yaml() -> Response:
            return PlainTextResponse(yaml.safe_dump(pet_store_documents.openapi_3()), media_type="application/yaml")


def _no_pet() -> Response:
    return JSONResponse({"code": 1, "type": "error", "message": "Pet not found"}, 404)


def _serve_oddities(app: FastAPI) -> None:
    @app.api_route("/echo", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    async def echo(request: Request) -> dict[str, Any]:
        body = (await request.body()).decode("utf-8", "replace")
        query = list(request.query_params.multi_items())
        return {"method": request.method, "headers": dict(request.headers), "query": query, "body": body}

    @app.api_route("/status/{code}", methods=["GET", "POST", "PUT", "DELETE"])
    async def status(code: int) -> Response:
        return Response(status_code=code) if code in (204, 304) else PlainTextResponse(f"you asked for {code}", code)

    @app.api_route("/redirect", methods=["GET", "POST"])
    async def redirect(to: str, code: int = 302) -> Response:
        return RedirectResponse(to, code)

    @app.get("/bytes/{count}")
    async def octets(count: int) -> Response:
        return Response(bytes(n % 256 for n in range(count)), media_type="application/octet-stream")

    @app.get("/slow/{seconds}")
    async def slow(seconds: float) -> Response:
        await asyncio.sleep(seconds)
        return PlainTextResponse("at last")


@asynccontextmanager
async def pet_store() -> AsyncIterator[PetStore]:
    """Serves on a free port of loopback until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    store = PetStore(f"http://127.0.0.1:{listener.getsockname()[1]}")
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_http(store.app(), listener, stop))
    try:
        yield store
    finally:
        stop.set()
        await serving
