"""A system that knows a repetition by its Idempotency-Key, and describes itself in OpenAPI."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import FastAPI, Header
from pydantic import BaseModel

from factotum.dev.sandbox.process import serve_http


class Note(BaseModel):
    text: str


@dataclass(slots=True)
class Notes:
    url: str
    # A text and its number, by the key that it came with.
    taken: dict[str, tuple[str, int]] = field(default_factory=dict)

    def standing(self, text: str) -> int:
        return sum(taken == text for taken, _ in self.taken.values())

    def app(self) -> FastAPI:
        app = FastAPI(servers=[{"url": self.url}])

        @app.post("/notes", operation_id="take")
        async def take(note: Note, idempotency_key: Annotated[str, Header()]) -> dict[str, Any]:
            _, number = self.taken.setdefault(idempotency_key, (note.text, len(self.taken) + 1))
            return {"number": number}

        return app


@asynccontextmanager
async def notes() -> AsyncIterator[Notes]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served, stop = Notes(f"http://127.0.0.1:{listener.getsockname()[1]}"), asyncio.Event()
        serving = asyncio.create_task(serve_http(served.app(), listener, stop))
        try:
            yield served
        finally:
            stop.set()
            await serving
