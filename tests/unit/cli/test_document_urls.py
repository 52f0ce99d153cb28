"""Documents are fetched within a time and a size, from the web alone."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from factotum.cli import document_urls
from factotum.cli.document_urls import UrlSource, is_url, named_url
from factotum.cli.errors import BadInput
from factotum.documents.bounded import Content
from factotum.documents.errors import Unreadable


@asynccontextmanager
async def answering(head: str, *pieces: bytes, then_hang: bool = False) -> AsyncIterator[str]:
    """A server that answers every request with this, and its address."""
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n".encode())
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if then_hang:
                await over.wait()
        except ConnectionError:
            pass  # the other side has had enough
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        finally:
            over.set()
            await asyncio.sleep(0)


async def test_what_a_server_says_of_it_comes_with_it() -> None:
    async with answering("200 OK\r\nContent-Type: text/html; charset=latin-1", b"<p>B\xfcro") as url:
        assert await UrlSource(url).content() == Content(
            "127.0.0.1", b"<p>B\xfcro", "text/html; charset=latin-1", "latin-1"
        )


async def test_it_is_cut_off_when_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_urls, "_MOST_BYTES", 100_000)
    async with answering("200 OK", b"x" * 60_000, b"x" * 60_000, then_hang=True) as url:
        with pytest.raises(Unreadable, match="more than 100000 bytes"):
            await UrlSource(url).content()
    async with answering("200 OK\r\nContent-Encoding: gzip", gzip.compress(bytes(10_000_000)), then_hang=True) as url:
        with pytest.raises(Unreadable, match="more than 100000 bytes"):
            await UrlSource(url).content()


async def test_it_is_waited_for_so_long_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_urls, "SECONDS", 0.2)
    async with answering("200 OK", b"x", then_hang=True) as url:
        with pytest.raises(Unreadable, match="did not come within 0"):
            await UrlSource(url).content()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("404 Not Found", "answers 404 Not Found"),
        ("302 Found\r\nLocation: /", "redirected more than 5 times"),
        ("302 Found\r\nLocation: file:///etc/passwd", "redirected to file:"),
        ("200 OK\r\nContent-Encoding: br", "compressed by br"),
        ("200 OK\r\nContent-Length: 10", "cannot be fetched"),
    ],
)
async def test_what_is_no_answer_is_said(head: str, words: str) -> None:
    async with answering(head, b"x") as url:
        with pytest.raises(Unreadable, match=words):
            await UrlSource(url).content()


async def test_nobody_there_is_said() -> None:
    async with answering("200 OK") as url:
        pass
    with pytest.raises(Unreadable, match="cannot be fetched"):
        await UrlSource(url).content()


def test_an_address_is_the_same_with_another_fragment() -> None:
    assert named_url("HTTPS://Acme.example/a b?q=1#x").uri == "https://acme.example/a%20b?q=1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://acme.example/x", "http and https"),
        ("file:///etc/passwd", "http and https"),
        ("https:///x", "http and https"),
        ("https://ada:tulip@acme.example/x", "acme.example holds a password"),
        ("https://acme.example:port/", "not an address"),
    ],
)
def test_what_is_no_address_of_the_web_is_said(text: str, words: str) -> None:
    assert is_url(text)
    with pytest.raises(BadInput, match=words) as raised:
        named_url(text)
    assert "tulip" not in str(raised.value)
