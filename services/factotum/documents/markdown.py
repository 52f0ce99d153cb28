"""Markdown: CommonMark with tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from factotum.documents import html
from factotum.documents.sections import Block, Outline, Reading
from factotum.documents.text import decoded

# What many tools put above the text, for themselves.
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(?:\"([^\"\n]+)\"|'([^'\n]+)'|([^\n]+))$", re.MULTILINE)


def read(content: bytes, charset: str = "") -> Reading:
    """The document without its front matter; of a link its text stands. Raises `NotADocument` for what is no text."""
    text = decoded(content, charset)
    title = ""
    if found := _FRONT_MATTER.match(text):
        text = text[found.end() :]
        said = _TITLE.search(found.group(1))
        title = next(filter(None, said.groups()), "").strip() if said else ""
    outline = Outline()
    read_into(outline, text)
    sections = outline.sections()
    first = sections[0].titles[:1] if sections else ()
    return Reading(title or "".join(first), sections)


def read_into(outline: Outline, text: str, *, below: int = 0) -> None:
    """Adds the blocks of a text; its headings stand `below` so many levels."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    for node in SyntaxTreeNode(tokens).children:
        if node.type == "heading":
            outline.heading(int(node.tag[1:]) + below, _plain(node))
        elif node.type == "html_block":
            html.read_into(outline, node.content)
        else:
            for block in _blocks(node):
                outline.block(block)


def _blocks(node: SyntaxTreeNode) -> Iterator[Block]:
    match node.type:
        case "fence" | "code_block":
            yield Block(node.content.strip("\n"), lines=True)
        case "table":
            rows = [
                " | ".join(_plain(cell) for cell in row.children) for part in node.children for row in part.children
            ]
            yield Block("\n".join(rows), lines=True, head=f"{rows[0]}\n" if len(rows) > 1 else "")
        case "bullet_list" | "ordered_list":
            yield Block("\n".join(_items(node)), lines=True)
        case "blockquote":
            for child in node.children:
                yield from _blocks(child)
        case "html_block":
            outline = Outline()
            html.read_into(outline, node.content)
            for section in outline.sections():
                yield from (Block(title) for title in section.titles[-1:])
                yield from section.blocks
        case _:
            yield Block(_plain(node))


def _items(node: SyntaxTreeNode) -> Iterator[str]:
    """The lines of a list, what is inside of an item moved in."""
    number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
    for index, item in enumerate(node.children):
        mark = f"{number + index}. " if number or node.type == "ordered_list" else "- "
        for child in item.children:
            for block in _blocks(child):
                for line in block.text.split("\n") if block.text.strip() else ():
                    yield f"{mark}{line}"
                    mark = "  "


def _plain(node: SyntaxTreeNode) -> str:
    """What a reader sees of it."""
    match node.type:
        case "text" | "code_inline":
            return node.content
        case "softbreak":
            return " "
        case "hardbreak":
            return "\n"
        case "html_inline":
            return "\n" if node.content.lower().startswith("<br") else ""
    return "".join(map(_plain, node.children))
