"""PDF: the text of its pages, under the headings of its outline. Pure.

A PDF says where its characters stand, not what its paragraphs are: those are guessed from lengths of lines. Pictures
are not read.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pypdf import PasswordType, PdfReader
from pypdf.errors import DependencyError, LimitReachedError, PdfReadError

from factotum.documents.errors import Unreadable
from factotum.documents.sections import Block, Outline, Reading

MOST_PAGES = 2000

_NUMBER = re.compile(r"\d+")
_HYPHENATED = re.compile(r"(?<=[a-zß-ÿ])[-\u00ad\u2010]\n(?=[a-zß-ÿ])")
# What leads the eye from a title to its page's number.
_LEADER = re.compile(r"(?: ?\.){5,} ?")
_ENDS_SENTENCE = re.compile(r"[.!?:;][\"'”\u2019)]?$")
# A line that is shorter than this part of the longest ends a paragraph, if a sentence ends with it.
_SHORT = 0.75
# Lines at the edge of so many pages, their numbers aside, are those that pages repeat.
_LEAST_REPEATED = 3
_EDGE = 2


@dataclass(frozen=True, slots=True)
class _Heading:
    page: int
    level: int
    title: str


def read(content: bytes) -> Reading:
    """Raises `Unreadable`: it is no PDF, is encrypted, has too many pages, or none with text."""
    try:
        reader = _opened(content)
        title = str((reader.metadata.title if reader.metadata else "") or "").strip()
        headings = list(_headings(reader, reader.outline, 1))
        pages = [_lines(page.extract_text()) for page in reader.pages]
    except DependencyError as error:
        raise Unreadable(f"it is encrypted in a way that needs another library: {error}") from error
    except LimitReachedError as error:
        raise Unreadable(f"it holds more than is read of a PDF: {error}") from error
    except (Unreadable, MemoryError):
        raise
    # A broken file makes the library raise what it likes: KeyError, AttributeError, zlib.error, RecursionError.
    except Exception as error:
        raise Unreadable(f"it is a broken PDF: {type(error).__name__}: {str(error)[:200]}") from error
    empty = [number for number, lines in enumerate(pages, start=1) if not any(lines)]
    if len(empty) == len(pages):
        raise Unreadable(
            "none of its pages holds text: it was scanned. Recognise its text first, e.g. with `ocrmypdf IN OUT`"
        )
    outline = Outline()
    for number, lines in enumerate(_without_edges(pages), start=1):
        _add(outline, number, lines, [heading for heading in headings if heading.page == number])
    remark = f"{len(empty)} of {len(pages)} pages hold no text, the first is page {empty[0]}" if empty else ""
    return Reading(title, outline.sections(), (remark,) if remark else ())


def _opened(content: bytes) -> PdfReader:
    try:
        reader = PdfReader(io.BytesIO(content))
    except PdfReadError as error:
        raise Unreadable(f"it is no PDF that can be read: {str(error)[:200]}") from error
    # What only its owner's password protects is open to readers.
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise Unreadable("it is encrypted: take its password off, e.g. with `qpdf --decrypt --password=… IN OUT`")
    if len(reader.pages) > MOST_PAGES:
        raise Unreadable(f"it has {len(reader.pages)} pages, and at most {MOST_PAGES} are read: split it")
    return reader


def _headings(reader: PdfReader, entries: list[Any], level: int) -> Iterator[_Heading]:
    for entry in entries:
        if isinstance(entry, list):
            yield from _headings(reader, entry, level + 1)
        elif (page := reader.get_destination_page_number(entry)) is not None and page >= 0:
            yield _Heading(page + 1, level, " ".join(str(entry.title or "").split()))


def _lines(text: str) -> list[str]:
    text = _LEADER.sub(" … ", _HYPHENATED.sub("", text.strip("\n")))
    return [line.rstrip() for line in text.split("\n")]


def _without_edges(pages: list[list[str]]) -> Iterator[list[str]]:
    """The pages without the lines that most of them begin or end with, such as a running title and its number."""
    found = Counter(mark for lines in pages for mark in {_mark(lines[at]) for at in _edges(lines)})
    repeated = {mark for mark, times in found.items() if times >= max(_LEAST_REPEATED, len(pages) / 2)}
    for lines in pages:
        dropped = {at % len(lines) for at in _edges(lines) if _mark(lines[at]) in repeated}
        yield [line for at, line in enumerate(lines) if at not in dropped]


def _edges(lines: list[str]) -> list[int]:
    at = min(_EDGE, len(lines) // 2)
    return [*range(at), *range(-at, 0)]


def _mark(line: str) -> str:
    return _NUMBER.sub("0", line.strip())


def _add(outline: Outline, page: int, lines: list[str], headings: list[_Heading]) -> None:
    """Adds a page. A heading that stands in it as a line begins there; another at the page's top."""
    at: dict[str, _Heading | None] = {_squeezed(heading.title): heading for heading in headings}
    standing = {key for key in map(_squeezed, lines) if key in at}
    for heading in headings:
        if _squeezed(heading.title) not in standing:
            outline.heading(heading.level, heading.title)
    longest = max(map(len, lines), default=0)
    paragraph: list[str] = []
    for line in [*lines, ""]:
        begun = at.pop(_squeezed(line), None)
        if paragraph and (begun or not line.strip()):
            outline.block(Block("\n".join(paragraph), page=page))
            paragraph = []
        if begun:
            outline.heading(begun.level, begun.title)
            continue
        paragraph.append(line)
        if len(line) < _SHORT * longest and _ENDS_SENTENCE.search(line):
            outline.block(Block("\n".join(paragraph), page=page))
            paragraph = []


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()
