"""An ASGI application on a free port of loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from factotum.dev.sandbox.process import serve_http


@asynccontextmanager
async def served_app(make: Callable[[str], Starlette]) -> AsyncIterator[str]:
    """The address at which the application that `make` gives for it is served until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app, stop = make(url), asyncio.Event()
    async with app.router.lifespan_context(app):
        serving = asyncio.create_task(serve_http(app, listener, stop))
        try:
            yield url
        finally:
            stop.set()
            await serving
