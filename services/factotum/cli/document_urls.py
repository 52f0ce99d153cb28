"""Documents on the web, fetched by the command: the memory itself fetches nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx2

from factotum.cli.errors import BadInput
from factotum.documents.bounded import Content
from factotum.documents.errors import Unreadable
from factotum.documents.formats import MOST_BYTES

SECONDS = 60.0
MOST_REDIRECTS = 5

_MOST_BYTES = max(MOST_BYTES.values())
_HEADERS = {
    "Accept": "text/markdown, text/html;q=0.9, application/pdf, application/json;q=0.8, text/plain;q=0.8, */*;q=0.5",
    # Of another compression a few bytes may be gigabytes.
    "Accept-Encoding": "gzip",
    "User-Agent": "factotum-memory",
}
_ENCODINGS = ("", "identity", "gzip")


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A document at an address."""

    uri: str
    asked: bool = True

    async def content(self) -> Content:
        """What the address answers within a minute, redirects followed. Raises `Unreadable`."""
        try:
            async with asyncio.timeout(SECONDS):
                return await _fetched(self.uri)
        except TimeoutError:
            raise Unreadable(f"it did not come within {SECONDS:g} s") from None
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise Unreadable(f"it cannot be fetched: {str(error) or type(error).__name__}") from error


def is_url(text: str) -> bool:
    return "://" in text


def named_url(text: str) -> UrlSource:
    """Raises `BadInput` for what is no address of the web, and for one with a password in it."""
    try:
        url = httpx2.URL(text).copy_with(fragment=None)
    except httpx2.InvalidURL as error:
        raise BadInput(f"{text!r} is not an address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(f"{text!r}: documents are fetched from http and https addresses")
    if url.userinfo:
        raise BadInput(f"the address at {url.host} holds a password, which would be remembered: fetch it to a file")
    return UrlSource(str(url))


async def _fetched(uri: str) -> Content:
    url = httpx2.URL(uri)
    async with httpx2.AsyncClient(headers=_HEADERS, follow_redirects=False, timeout=SECONDS) as client:
        for _ in range(MOST_REDIRECTS + 1):
            async with client.stream("GET", url) as response:
                if not response.has_redirect_location:
                    return await _answered(url, response)
                url = url.join(response.headers["location"])
            if url.scheme not in ("http", "https"):
                raise Unreadable(f"it is redirected to {url.scheme}:, which is not followed")
    raise Unreadable(f"it is redirected more than {MOST_REDIRECTS} times")


async def _answered(url: httpx2.URL, response: httpx2.Response) -> Content:
    if not response.is_success:
        raise Unreadable(f"{url.host} answers {response.status_code} {response.reason_phrase}".rstrip())
    if response.headers.get("content-encoding", "").lower() not in _ENCODINGS:
        raise Unreadable(f"{url.host} sends it compressed by {response.headers['content-encoding']}")
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > _MOST_BYTES:
            raise Unreadable(f"it has more than {_MOST_BYTES} bytes: fetch it to a file, and split it")
    path = url.path if url.path.strip("/") else url.host
    media_type = response.headers.get("content-type", "")
    return Content(path, bytes(content), media_type, response.charset_encoding or "")
