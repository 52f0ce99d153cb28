"""Documents are read in a process that is stopped when one takes too long or too much."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from factotum.documents.bounded import MEBIBYTE, BoundedReader, Content
from factotum.documents.chunks import Chunk
from factotum.documents.errors import NotADocument, Unreadable
from factotum.documents.formats import MOST_BYTES, Format
from tests.support.pdf import pdf

NESTED = b"<div>" * 300_000 + b"text"


@pytest.fixture(scope="module")
async def reader() -> AsyncIterator[BoundedReader]:
    async with BoundedReader() as it:
        yield it


@pytest.mark.parametrize(
    ("content", "chunk"),
    [
        (Content("/docs/guide.md", b"# Use\n\nRun it."), Chunk("Run it.", "Use")),
        (Content("/docs/notes.txt", b"Run it."), Chunk("Run it.", "notes")),
        (Content("/docs/", b"<p>B\xfcro", "text/html", "latin-1"), Chunk("Büro", "docs")),
        (Content("desk.pdf", pdf([["Closed."]])), Chunk("Closed.", "desk, page 1", 1)),
        (Content("desk", b'{"openapi": "3.0.0", "info": {"title": "Desk", "description": "Ask."}}', "application/json"),
         Chunk("Ask.", "Desk")),
    ],
)  # fmt: skip
async def test_every_format_is_read(reader: BoundedReader, content: Content, chunk: Chunk) -> None:
    assert (await reader.read(content)).chunks == (chunk,)


async def test_what_takes_too_long_is_stopped_and_the_next_is_read() -> None:
    began = time.monotonic()
    async with BoundedReader(seconds=3) as reader:
        with pytest.raises(Unreadable, match="more than 3 s and was stopped"):
            await reader.read(Content("nested.html", NESTED))
        assert time.monotonic() - began < 10
        assert (await reader.read(Content("a.md", b"Next."))).chunks == (Chunk("Next.", "a"),)


async def test_what_takes_too_much_memory_is_stopped_and_the_next_is_read() -> None:
    async with BoundedReader(seconds=30, memory_bytes=64 * MEBIBYTE) as reader:
        with pytest.raises(Unreadable, match="more than 64 MiB, or broke the reader of text"):
            await reader.read(Content("long.txt", b"word " * 1_600_000))
        assert (await reader.read(Content("a.md", b"Next."))).chunks == (Chunk("Next.", "a"),)


@pytest.mark.parametrize(
    ("content", "sort", "words"),
    [
        (Content("a.txt", b"\x00\x01"), NotADocument, "no text"),
        (Content("a.html", b"<script>draw()</script>"), Unreadable, "made by scripts"),
        (Content("a.pdf", pdf([["x"]], password="tulip")), Unreadable, "encrypted"),
        (Content("a.txt", bytes(MOST_BYTES[Format.TEXT] + 1)), Unreadable, "at most 8388608 of text"),
        (Content("a.yaml", b"kind: Deployment"), NotADocument, "no OpenAPI"),
    ],
)
async def test_the_reason_comes_back(
    reader: BoundedReader, content: Content, sort: type[Unreadable], words: str
) -> None:
    with pytest.raises(Unreadable, match=words) as raised:
        await reader.read(content)
    assert type(raised.value) is sort
