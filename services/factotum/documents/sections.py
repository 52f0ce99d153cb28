"""What a reader makes of a document. Pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, table or piece of code.

    Args:
        lines: it may be cut between lines alone, as code is; else between sentences.
        head: the lines at its top that each piece of it begins with, e.g. a table's titles. Part of `text`.
        page: counted from 1; 0: the document has no pages.
    """

    text: str
    lines: bool = False
    head: str = ""
    page: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading, up to the next. `titles` are the headings that it is under and its own, the
    outermost first."""

    titles: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A document that was read.

    Args:
        title: empty where the document has none.
        remarks: what its reader could not do, a sentence each.
    """

    title: str
    sections: tuple[Section, ...]
    remarks: tuple[str, ...] = ()


class Outline:
    """Collects blocks under the headings that they come after."""

    def __init__(self) -> None:
        self._titles: list[tuple[int, str]] = []
        self._blocks: list[Block] = []
        self._sections: list[Section] = []

    def heading(self, level: int, title: str) -> None:
        """A heading of this level, 1 the highest, begins a section of its own."""
        self._close()
        self._titles = [(known, text) for known, text in self._titles if known < level]
        self._titles.append((level, " ".join(title.split())))

    def block(self, block: Block) -> None:
        if block.text.strip():
            self._blocks.append(block)

    def sections(self) -> tuple[Section, ...]:
        """All so far. A heading under which there is nothing is a section without blocks if nothing is beneath it."""
        self._close()
        titles = [section.titles for section in self._sections]
        return tuple(
            section
            for index, section in enumerate(self._sections)
            if section.blocks or titles[index + 1 : index + 2] == [] or not _above(section.titles, titles[index + 1])
        )

    def _close(self) -> None:
        titles = tuple(text for _, text in self._titles if text)
        if self._blocks or titles:
            self._sections.append(Section(titles, tuple(self._blocks)))
        self._blocks = []


def _above(upper: tuple[str, ...], lower: tuple[str, ...]) -> bool:
    return len(lower) > len(upper) and lower[: len(upper)] == upper
