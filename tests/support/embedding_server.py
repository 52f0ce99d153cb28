"""An endpoint with OpenAI's embeddings API, on loopback: strict about requests, free in what the API leaves free.

Vectors come in another order than the texts, and twice as long as they should be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from factotum.memory.embedders.port import Embedder
from tests.support.served_app import served_app

KEY = "sk-of-a-test"
MODEL = "all-minilm"


@dataclass
class EmbeddingServer:
    """`faults` are answered first, each once; texts that hold one of `refused` are never taken."""

    embedder: Embedder
    url: str = ""
    faults: list[Response] = field(default_factory=list)
    refused: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def embeddings(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        if self.faults:
            return self.faults.pop(0)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": {"message": "Incorrect API key provided"}}, 401)
        if wrong := _wrong(body):
            return JSONResponse({"error": {"message": wrong}}, 400)
        if self.refused and any(self.refused in text for text in body["input"]):
            return JSONResponse({"error": {"message": "input is too long"}}, 400)
        vectors = await self.embedder.embed(body["input"])
        return JSONResponse(answer(2 * vectors[:, : body.get("dimensions", self.embedder.dimension)]))


def answer(vectors: Sequence[Any] | np.ndarray[Any, Any]) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": index, "embedding": [float(x) for x in row]}
        for index, row in enumerate(vectors)
    ]
    return {"object": "list", "data": data[::-1], "model": MODEL, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def _wrong(body: dict[str, Any]) -> str:
    if unknown := body.keys() - {"model", "input", "encoding_format", "dimensions"}:
        return f"unknown: {sorted(unknown)}"
    if body.get("model") != MODEL or body.get("encoding_format") != "float":
        return "model or encoding_format"
    texts = body.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        return "input: one or more texts, none of them empty"
    return ""


@asynccontextmanager
async def embedding_server(embedder: Embedder) -> AsyncIterator[EmbeddingServer]:
    server = EmbeddingServer(embedder)
    routes = [Route("/v1/embeddings", server.embeddings, methods=["POST"])]
    async with served_app(lambda url: Starlette(routes=routes)) as url:
        server.url = f"{url}/v1"
        yield server
