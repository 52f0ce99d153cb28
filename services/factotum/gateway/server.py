"""The gateway on a socket: uvicorn with problems for what is not even HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from factotum.gateway import problems
from factotum.gateway.settings import HttpSettings


class ProblemH11Protocol(H11Protocol):
    """h11, the strictest parser there is, answering in `application/problem+json` where it gives up."""

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            content = problems.body(400, path="", detail=msg)
            headers = [
                (b"content-type", problems.CONTENT_TYPE.encode()),
                (b"content-length", str(len(content)).encode()),
                (b"connection", b"close"),
            ]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=content),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
            if self.cycle is not None:
                # The application may be about to answer what it has of this request: too late.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        # Otherwise an answer is already under way, and another one would be taken for a part of it.
        self.transport.close()


class _Server(uvicorn.Server):
    """Leaves the signals to `factotum.runtime.lifespan`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(settings: HttpSettings) -> socket.socket:
    """A listening socket. Raises `OSError` if the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family)


async def serve(app: FastAPI, listener: socket.socket, settings: HttpSettings, stop: asyncio.Event) -> None:
    """Serves until `stop` is set, then takes no more requests and finishes those under way, within
    `shutdown_seconds`. Closes the listener."""
    config = uvicorn.Config(
        app,
        http=ProblemH11Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
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
