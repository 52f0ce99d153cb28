"""The one way out of a sandbox that may reach hosts: a proxy for HTTP, here, and no network there.

The proxy's listening socket is made inside, where the command finds it on loopback, and handed out: what connects to
it is answered here, by the rules of `factotum.sdk.egress`. Names are looked up here too. A tunnel (CONNECT) or a
request over plain HTTP goes to an allowed host and port or nowhere.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self
from urllib.parse import urlsplit

import h11

from factotum.sdk.egress import Egress
from factotum.sdk.errors import InvalidArgument, NotPermitted, ToolError, Unavailable

PORT = 3128
# Each holds two descriptors of the tool executor; more wait.
_MOST_CONNECTIONS = 32
_MOST_REFUSALS = 20
_LONGEST_HEAD = 65_536
_CHUNK = 65_536
_CONNECT_SECONDS = 10.0
_HOST = re.compile(r"(\*\.)?[^\s/:@?#*\[\]]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?")
# RFC 9110 §7.6.1, and what is for the proxy alone.
_HOP = {b"connection", b"proxy-connection", b"keep-alive", b"te", b"upgrade", b"proxy-authorization", b"expect"}

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def check_host(text: str) -> str:
    """Raises `ValueError` for what is no `host`, `host:port` or `*.domain`."""
    if not _HOST.fullmatch(text):
        raise ValueError(f"{text!r} is not a host: write api.example.com, api.example.com:8443 or *.example.com")
    return text


class Network:
    """The proxy of one command, which answers inside `async with`.

    Args:
        hosts: as of a `Command`. Raises `InvalidArgument`.

    Attributes:
        theirs: a socket that `inside` hands its own through.
        refused: the first of the `host:port` that the command asked for and may not reach.
    """

    theirs: socket.socket
    _ours: socket.socket
    _serving: asyncio.Task[None]

    def __init__(self, hosts: Sequence[str]) -> None:
        try:
            allow = [f"{scheme}://{check_host(host)}" for host in hosts for scheme in ("https", "http")]
        except ValueError as error:
            raise InvalidArgument(str(error)) from error
        self._egress = Egress(allow, where="hosts")
        self.refused: list[str] = []
        # Each look-up holds one of the few threads that the executor has for them.
        self._looking = asyncio.Semaphore(2)

    async def __aenter__(self) -> Self:
        self._ours, self.theirs = socket.socketpair()
        self._serving = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._serving.cancel()
        await asyncio.wait({self._serving})
        self._ours.close()
        self.theirs.close()
        if not self._serving.cancelled():
            self._serving.result()

    @property
    def environment(self) -> dict[str, str]:
        """Where programs look for a proxy; some know the one case, some the other."""
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        return dict.fromkeys(names, f"http://127.0.0.1:{PORT}")

    async def _serve(self) -> None:
        listening = await _handed_out(self._ours)
        room = asyncio.Semaphore(_MOST_CONNECTIONS)
        loop = asyncio.get_running_loop()
        with listening:
            async with asyncio.TaskGroup() as answering:
                while True:
                    await room.acquire()
                    connection, _ = await loop.sock_accept(listening)
                    answering.create_task(self._answer(connection)).add_done_callback(lambda _: room.release())

    async def _answer(self, connection: socket.socket) -> None:
        async with _closing(await asyncio.open_connection(sock=connection)) as inside:
            # The command goes away as it likes, and so does whom it speaks to.
            with suppress(OSError, h11.ProtocolError):
                await self._one(inside)

    async def _one(self, inside: Streams) -> None:
        reader, writer = inside
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
        try:
            request = await _event(parser, reader)
            if not isinstance(request, h11.Request):
                return
            tunnel = request.method == b"CONNECT"
            host, port = _target(request)
            outside = await self._reach(tunnel, host, port)
        except h11.RemoteProtocolError as error:
            await _say(writer, parser, error.error_status_hint, f"no HTTP request: {error}")
        except NotPermitted as error:
            await _say(writer, parser, 403, error.message)
        except InvalidArgument as error:
            await _say(writer, parser, 400, error.message)
        except ToolError as error:
            await _say(writer, parser, 502, error.message)
        else:
            async with _closing(outside):
                if tunnel:
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    outside[1].write(parser.trailing_data[0])
                    await _together(_copied(reader, outside[1]), _copied(outside[0], writer))
                else:
                    await _exchanged(request, parser, inside, outside)

    async def _reach(self, tunnel: bool, host: str, port: int) -> Streams:
        """Raises `NotPermitted`, `InvalidArgument`, `Unavailable`."""
        try:
            async with self._looking:
                addresses = await self._egress.addresses("https" if tunnel else "http", host, port)
        except NotPermitted as error:
            shown = f"{host}:{port}"
            if shown not in self.refused and len(self.refused) < _MOST_REFUSALS:
                self.refused.append(shown)
            words = f"{shown} is not among the hosts that this command may reach, or has no public address"
            raise NotPermitted(f"{words}: write it out there") from error
        why = ""
        for address in addresses:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port)
            except OSError as error:
                why = error.strerror or type(error).__name__
        raise Unavailable(f"{host}:{port} does not answer: {why}")


async def _handed_out(channel: socket.socket) -> socket.socket:
    """The socket that `inside` made. Waits for ever if it makes none."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    channel.setblocking(False)
    loop.add_reader(channel, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(channel)
    _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    listening = socket.socket(fileno=descriptors[0])
    listening.setblocking(False)
    return listening


def _target(request: h11.Request) -> tuple[str, int]:
    """Whom a request to a proxy is for (RFC 9112 §3.2.2, §3.2.3). Raises `InvalidArgument`."""
    target = request.target.decode("ascii", "replace")
    try:
        parts = urlsplit(f"//{target}" if request.method == b"CONNECT" else target)
        port = parts.port
    except ValueError as error:
        raise InvalidArgument(f"{target!r} is no address: {error}") from error
    if not parts.hostname or parts.username is not None:
        raise InvalidArgument(f"{target!r} names no host")
    if request.method == b"CONNECT":
        if port is None or parts.path:
            raise InvalidArgument(f"{target!r} is not host:port")
        return parts.hostname, port
    if parts.scheme != "http":
        raise InvalidArgument(f"{target!r} does not begin with http://")
    return parts.hostname, port or 80


async def _exchanged(request: h11.Request, parser: h11.Connection, inside: Streams, outside: Streams) -> None:
    """One request and its answer; the connection is for no other, whose host nobody would have looked at."""
    parts = urlsplit(request.target.decode("ascii"))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [(b"host", parts.netloc.encode("ascii")), *_kept(request.headers, b"host"), (b"connection", b"close")]
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
    outside[1].write(client.send(h11.Request(method=request.method, target=path, headers=headers)) or b"")
    sending = asyncio.ensure_future(_sent(parser, client, inside, outside))
    answering = asyncio.ensure_future(_answered(parser, client, inside, outside))
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            await sending
        # An answer that is whole may come before the request is.
        await answering
    finally:
        await _cancelled(sending, answering)


async def _sent(parser: h11.Connection, client: h11.Connection, inside: Streams, outside: Streams) -> None:
    if parser.they_are_waiting_for_100_continue:
        inside[1].write(parser.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
    while True:
        event = await _event(parser, inside[0])
        if not isinstance(event, h11.Data | h11.EndOfMessage):
            raise ConnectionError
        outside[1].write(client.send(event) or b"")
        await outside[1].drain()
        if isinstance(event, h11.EndOfMessage):
            return


async def _answered(parser: h11.Connection, client: h11.Connection, inside: Streams, outside: Streams) -> None:
    while True:
        event = await _event(client, outside[0])
        if isinstance(event, h11.InformationalResponse):
            continue
        if isinstance(event, h11.Response):
            headers = [*_kept(event.headers), (b"connection", b"close")]
            event = h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
        elif not isinstance(event, h11.Data | h11.EndOfMessage):
            raise ConnectionError
        inside[1].write(parser.send(event) or b"")
        await inside[1].drain()
        if isinstance(event, h11.EndOfMessage):
            return


def _kept(headers: Iterable[tuple[bytes, bytes]], *without: bytes) -> list[tuple[bytes, bytes]]:
    """Without what is for one connection. Of two lengths the one is left that h11 goes by (RFC 9112 §6.3): who is next
    must not take the other, and the rest for a request."""
    kept = [(name, value) for name, value in headers if name not in _HOP and name not in without]
    chunked = any(name == b"transfer-encoding" for name, _ in kept)
    return [(name, value) for name, value in kept if not (chunked and name == b"content-length")]


async def _event(parser: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := parser.next_event()) is h11.NEED_DATA:
        parser.receive_data(await reader.read(_CHUNK))
    return event


async def _say(writer: asyncio.StreamWriter, parser: h11.Connection, status: int, words: str) -> None:
    body = f"{words}\n".encode()
    headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    head = parser.send(h11.Response(status_code=status, headers=headers)) or b""
    writer.write(head + (parser.send(h11.Data(data=body)) or b"") + (parser.send(h11.EndOfMessage()) or b""))
    await writer.drain()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """Runs all until they end or one of them fails."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _cancelled(*tasks)


async def _cancelled(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _closing(streams: Streams) -> AsyncIterator[Streams]:
    try:
        yield streams
    finally:
        streams[1].close()
        with suppress(OSError):
            await streams[1].wait_closed()
