"""Cuts a document into chunks that the embedder reads whole. Pure, and the same each time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from factotum.documents.sections import Block, Reading, Section
from factotum.documents.tokens import Count, counter

# Word pieces of a chunk with its section: 254 are read, and `tokens` estimates.
MOST_TOKENS = 216
# A longer section is shortened, so that the text has room.
MOST_LABEL_CHARACTERS = 160
# The sentence before a cut is said again after it, and a table's titles above each piece, if they leave this much.
_MOST_REPEATED = 4

# Bounded repetitions, so that a text of nothing but dots is read once.
_SENTENCE = re.compile(r"[.!?…]{1,8}[\"'”\u2019»)\]]{0,3}\s+|[\u3002\uff01\uff1f]\s*|\n\s*\n")
_WORD = re.compile(r"\S+\s*")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document. `section` says where it stands, e.g. "Guide > Install, page 3"; `page` is the one that it
    begins on, counted from 1, 0: there are none."""

    text: str
    section: str
    page: int = 0


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut further. The units of a block, one after the other, are its text."""

    text: str
    tokens: int
    block: Block
    begins: bool


def chunks(reading: Reading, name: str) -> list[Chunk]:
    """The chunks in the document's order; `name` stands for a title where the document has none.

    Every word of the reading is in the text or the section of a chunk, unless it is longer than a chunk: then its
    pieces are. A chunk with its section has at most `MOST_TOKENS` tokens as `tokens` counts them.
    """
    return [chunk for section in reading.sections for chunk in _of_section(section, reading.title or name)]


def _of_section(section: Section, title: str) -> Iterator[Chunk]:
    label = _label(section.titles, title)
    if not section.blocks:
        if any(section.titles[-1:]):
            yield Chunk(section.titles[-1], label)
        return
    count = counter("\n".join(block.text for block in section.blocks))
    # One for the end of a word that had to be cut.
    most = MOST_TOKENS - counter(label)(label) - count(", pages 99999-99999") - 1
    for units, repeated in _packed(_units(section.blocks, count, most), count, most):
        if text := _joined(units, repeated):
            yield Chunk(text, f"{label}{_pages(units)}", units[0].block.page)


def _pages(units: list[_Unit]) -> str:
    first, last = units[0].block.page, units[-1].block.page
    if not first:
        return ""
    return f", page {first}" if first == last else f", pages {first}-{last}"


def _label(titles: tuple[str, ...], title: str) -> str:
    """The title and the headings, those in between left out where it grows too long."""
    path = [each for each in (titles if titles[:1] == (title,) else (title, *titles)) if each]
    while len(" > ".join(path)) > MOST_LABEL_CHARACTERS and len(path) > 2:
        path = [path[0], "…", *path[3 if path[1] == "…" else 2 :]]
    label = " > ".join(path)
    return label if len(label) <= MOST_LABEL_CHARACTERS else f"{label[: MOST_LABEL_CHARACTERS - 1].rstrip()}…"


def _units(blocks: tuple[Block, ...], count: Count, most: int) -> Iterator[_Unit]:
    for block in blocks:
        text = block.text.strip("\n") if block.lines else block.text.strip()
        if (tokens := count(text)) <= most:
            yield _Unit(text, tokens, block, begins=True)
            continue
        # Room for what each piece begins with.
        room = most - (count(block.head) if _repeats(block, count, most) else 0)
        begins = True
        for part in text.splitlines(keepends=True) if block.lines else _sentences(text):
            for piece in _short(part, count, room):
                yield _Unit(piece, count(piece), block, begins)
                begins = False


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for found in _SENTENCE.finditer(text):
        yield text[start : found.end()]
        start = found.end()
    if start < len(text):
        yield text[start:]


def _short(part: str, count: Count, most: int) -> Iterator[str]:
    """The part, or, where it is too long, as many of its words as fit at a time."""
    if count(part) <= most:
        yield part
        return
    held, tokens = "", 0
    for word in _words(part, count, most):
        size = count(word)
        if held and tokens + size > most:
            yield held
            held, tokens = "", 0
        held += word
        tokens += size
    if held:
        yield held


def _words(part: str, count: Count, most: int) -> Iterator[str]:
    """Its words with the blanks after them; what is no word, such as a key of a thousand characters, in pieces."""
    start = len(part) - len(part.lstrip())
    for index, found in enumerate(_WORD.finditer(part)):
        # Blanks at the beginning belong to the first word.
        word = part[:start] + found.group() if index == 0 else found.group()
        if count(word) <= most:
            yield word
        else:
            # Each character counts for one at most.
            yield from (word[at : at + most] for at in range(0, len(word), most))


def _packed(units: Iterator[_Unit], count: Count, most: int) -> Iterator[tuple[list[_Unit], str]]:
    """Units for one chunk each, and what is repeated before them. Chunks of a section are about equally long."""
    waiting = list(units)
    total = sum(unit.tokens for unit in waiting)
    fewest = max(1, -(-total // most))
    aim = -(-total // fewest)
    held: list[_Unit] = []
    repeated, tokens, made = "", 0, 0
    for unit in waiting:
        if held and (tokens + unit.tokens > most or (tokens >= aim and made < fewest - 1)):
            yield held, repeated
            repeated = _again(held[-1], unit, count, most)
            held, tokens, made = [], count(repeated), made + 1
        held.append(unit)
        tokens += unit.tokens
    if held:
        yield held, repeated


def _again(last: _Unit, following: _Unit, count: Count, most: int) -> str:
    """What of the block that is cut between these two is said again before the second."""
    if following.begins:
        return ""
    if following.block.lines:
        return following.block.head if _repeats(following.block, count, most) else ""
    fits = last.tokens * _MOST_REPEATED <= most and last.tokens + following.tokens <= most
    return last.text if fits else ""


def _repeats(block: Block, count: Count, most: int) -> bool:
    return bool(block.head) and count(block.head) * _MOST_REPEATED <= most


def _joined(units: list[_Unit], repeated: str) -> str:
    text = repeated
    for index, unit in enumerate(units):
        text += f"\n\n{unit.text}" if unit.begins and index else unit.text
    return text.strip("\n") if units[0].block.lines else text.strip()
