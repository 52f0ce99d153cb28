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
    stop = asyncio.Event()
    # In one task: a fixture's block may end in another than it began, which an application's own may not.
    serving = asyncio.create_task(_serve(make(url), listener, stop))
    try:
        yield url
    finally:
        stop.set()
        await serving


async def _serve(app: Starlette, listener: socket.socket, stop: asyncio.Event) -> None:
    async with app.router.lifespan_context(app):
        await serve_http(app, listener, stop)
