"""One document to its chunks, whatever its format. Pure, and as slow as the document makes it: see `bounded`."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from factotum.documents.chunks import Chunk, chunks
from factotum.documents.errors import Unreadable
from factotum.documents.formats import Format
from factotum.documents.sections import Reading
from factotum.sdk.characters import line, plain, steers

MOST_CHUNKS = 20_000


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """`title` is empty where the document has none; `remarks` say what could not be read of it."""

    title: str
    chunks: tuple[Chunk, ...]
    remarks: tuple[str, ...] = ()


def read(form: Format, content: bytes, *, name: str, charset: str = "") -> ReadDocument:
    """The document's chunks; `name` stands for a title where it has none. Raises `Unreadable`."""
    reading = _reading(form, content, charset)
    found = tuple(_plain(chunks(reading, name)))
    if not found:
        raise Unreadable("there is no text in it" + (": its page is made by scripts" if form is Format.HTML else ""))
    if len(found) > MOST_CHUNKS:
        raise Unreadable(f"it makes {len(found)} chunks, and at most {MOST_CHUNKS} are taken: split it")
    return ReadDocument(reading.title, found, reading.remarks)


def _plain(found: Iterable[Chunk]) -> Iterator[Chunk]:
    for chunk in found:
        if text := plain(chunk.text).strip():
            # What is plain stays as it is, blanks around it too: ids follow from it.
            yield Chunk(chunk.text if not steers(chunk.text) else text, line(chunk.section), chunk.page)


def _reading(form: Format, content: bytes, charset: str) -> Reading:
    # One reader is loaded, not all: the one for PDF alone takes a fifth of a second.
    reader = importlib.import_module(f"factotum.documents.{form.value}")
    found: Reading = reader.read(content) if form in (Format.PDF, Format.OPENAPI) else reader.read(content, charset)
    return found
