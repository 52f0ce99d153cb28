"""What every process of the sandbox does alike: its options, its log, its HTTP server, its end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp

from factotum.dev.sandbox.tenants import TenantsInvalid
from factotum.runtime import lifespan, logs
from factotum.runtime.settings import ProcessSettings

log = structlog.get_logger(__name__)

# Seconds that requests under way have to finish.
SHUTDOWN_SECONDS = 5


def options(name: str, summary: str, *, port: int) -> argparse.ArgumentParser:
    """The options that README.md describes, `port` being the usual one."""
    parser = argparse.ArgumentParser(prog=f"python -m factotum.dev.sandbox.{name}", description=summary)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where the state is kept")
    parser.add_argument("--tenants", type=Path, required=True, metavar="FILE", help="tenants and credentials")
    return parser


def setup(name: str, data: Path) -> None:
    """Sets up the log and makes the directory. Ends the process if it cannot be made."""
    logs.setup(f"sandbox-{name}", ProcessSettings().telemetry)
    with ending_on_bad_start(name):
        data.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def ending_on_bad_start(name: str) -> Iterator[None]:
    """Turns what can keep a process from starting into its last words and exit status 1."""
    try:
        yield
    except (TenantsInvalid, OSError) as error:
        log.error(f"{name} cannot start", reason=str(error))
        sys.exit(1)


def run(name: str, data: Path, serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `serve(stop)` until SIGTERM or SIGINT, in a process set up for it."""
    setup(name, data)
    with ending_on_bad_start(name):
        lifespan.run(serve)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `OSError` if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


class _Server(uvicorn.Server):
    """Leaves the signals to `factotum.runtime.lifespan`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_http(app: ASGIApp, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serves until `stop` is set, finishes the requests under way and closes the listener."""
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving
