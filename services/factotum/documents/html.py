"""HTML: the text of a page without what surrounds it. Pure.

The tree is the one that browsers make (selectolax, on the Lexbor engine). Of a page that marks its main part that alone
is read; navigation, footers, buttons and what is hidden never are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode

from factotum.documents.sections import Block, Outline, Reading
from factotum.documents.text import decoded

_LEFT_OUT = frozenset(
    {"audio", "button", "canvas", "dialog", "footer", "head", "iframe", "input", "label", "nav", "noscript", "object"}
    | {"option", "script", "select", "style", "svg", "template", "textarea", "title", "video"}
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "menu"})
_FLOWING = frozenset(
    {
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "mark",
    }
    | {
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
    }
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s{0,9}=\s{0,9}[\"']?([\w-]{2,20})", re.IGNORECASE)
_META_WITHIN = 4096
# With one of these inside, a table is the frame of a page and no data.
_NO_DATA = "table, h1, h2, h3, h4, h5, h6, pre, article"
# Where a line ends in flowing text. No text holds it: `decoded` leaves it out.
_BREAK = "\x0b"


def read(content: bytes, charset: str = "") -> Reading:
    """The page. Raises `NotADocument` for what is no text."""
    said = _META_CHARSET.search(content[:_META_WITHIN])
    tree = _parsed(decoded(content, charset or (said.group(1).decode() if said else "")))
    outline = Outline()
    if (main := _main(tree)) is not None:
        _Walk(outline, within_main=main.tag != "body").over(main)
    title = tree.css_first("title")
    return Reading(_text(title) if title is not None else "", outline.sections())


def read_into(outline: Outline, fragment: str) -> None:
    """Adds a piece of HTML, as it stands in Markdown."""
    if (body := _parsed(fragment).body) is not None:
        _Walk(outline, within_main=True).over(body)


def _parsed(text: str) -> LexborHTMLParser:
    return LexborHTMLParser(text, options=LexborDocumentOptions.WO_EVENTS)


def _main(tree: LexborHTMLParser) -> LexborNode | None:
    """The one main part with any text in it; else everything."""
    for selector in ("main", "[role=main]", "article"):
        found = [node for node in tree.css(selector) if _text(node)]
        if len(found) == 1:
            return found[0]
    return tree.body


class _Walk:
    """Reads elements into an outline. However deep they are, nothing calls itself."""

    def __init__(self, outline: Outline, *, within_main: bool) -> None:
        self._outline = outline
        # An aside in the main part is a note of it.
        self._left_out = _LEFT_OUT if within_main else _LEFT_OUT | {"aside"}
        self._flowing: list[str] = []
        # The lines of the outermost list so far, of each list around the last number given (none: -1), and what
        # stands before the next line.
        self._lines: list[str] = []
        self._numbers: list[int] = []
        self._mark = ""

    def over(self, root: LexborNode) -> None:
        waiting = [(root, False)]
        while waiting:
            node, left = waiting.pop()
            if left:
                self._leave(node.tag or "")
            elif self._enter(node):
                waiting.append((node, True))
                waiting.extend((child, False) for child in reversed(list(node.iter(include_text=True))))

    def _enter(self, node: LexborNode) -> bool:
        """Takes what the element is by itself; false if nothing more is to be taken of what is inside."""
        tag = node.tag or "-"
        if tag == "-text":
            self._flowing.append(node.text(deep=False))
        if tag.startswith("-") or tag in self._left_out or _hidden(node):
            return False
        if tag in _FLOWING:
            return True
        if tag in ("br", "img"):
            self._flowing.append(_BREAK if tag == "br" else f" {node.attributes.get('alt') or ''} ")
            return False
        self._flush()
        return self._enter_block(node, tag)

    def _enter_block(self, node: LexborNode, tag: str) -> bool:
        if tag in _HEADINGS:
            self._heading(_HEADINGS[tag], _text(node))
        elif tag == "pre":
            self._block("".join(_pieces(node)), lines=True)
        elif tag == "table" and _is_data(node):
            self._table(node)
        elif tag == "header":
            # That of a site holds what its navigation holds.
            return node.css_first("h1, h2, h3") is not None
        else:
            self._enter_list(tag)
            return True
        return False

    def _enter_list(self, tag: str) -> None:
        if tag in _LISTS:
            self._numbers.append(0 if tag == "ol" else -1)
        elif tag == "li" and self._numbers:
            self._mark = "- "
            if self._numbers[-1] >= 0:
                self._numbers[-1] += 1
                self._mark = f"{self._numbers[-1]}. "

    def _leave(self, tag: str) -> None:
        if tag not in _FLOWING:
            self._flush()
        if tag in _LISTS:
            self._numbers.pop()
            if not self._numbers:
                self._outline.block(Block("\n".join(self._lines), lines=True))
                self._lines = []

    def _heading(self, level: int, title: str) -> None:
        if self._numbers:
            self._block(title)
        elif title:
            self._outline.heading(level, title)

    def _table(self, node: LexborNode) -> None:
        if (caption := node.css_first("caption")) is not None:
            self._block(_text(caption))
        rows = [row.css("th, td") for row in node.css("tr")]
        lines = [" | ".join(map(_text, cells)) for cells in rows]
        titled = bool(rows) and all(cell.tag == "th" for cell in rows[0])
        self._block("\n".join(lines), lines=True, head=f"{lines[0]}\n" if titled and len(lines) > 1 else "")

    def _flush(self) -> None:
        text = "".join(self._flowing)
        self._flowing = []
        self._block("\n".join(_flowing(line) for line in text.split(_BREAK)).strip())

    def _block(self, text: str, *, lines: bool = False, head: str = "") -> None:
        if not text.strip():
            return
        if not self._numbers:
            self._outline.block(Block(text, lines, head))
            return
        margin = "  " * (len(self._numbers) - 1)
        first, *rest = text.strip("\n").split("\n")
        self._lines.append(f"{margin}{self._mark or '  '}{first}")
        self._lines.extend(f"{margin}  {line}" for line in rest)
        self._mark = ""


def _is_data(table: LexborNode) -> bool:
    # The table is among what is found in it.
    return all(found.mem_id == table.mem_id for found in table.css(_NO_DATA))


def _hidden(node: LexborNode) -> bool:
    said = node.attributes
    return "hidden" in said or said.get("aria-hidden") == "true" or "display:none" in (said.get("style") or "")


def _text(node: LexborNode) -> str:
    """What the element says, in one line."""
    return _flowing("".join(_pieces(node)))


def _flowing(text: str) -> str:
    return " ".join(text.split())


def _pieces(root: LexborNode) -> Iterator[str]:
    """The text inside the element, whose own kind does not matter. What links to itself by a sign is left out."""
    waiting = list(_children(root))
    while waiting:
        node = waiting.pop()
        tag = node.tag or "-"
        if tag == "-text":
            yield node.text(deep=False)
        elif tag == "br":
            yield "\n"
        elif not (tag.startswith("-") or tag in _LEFT_OUT or (tag == "a" and _is_sign(node)) or _hidden(node)):
            waiting.extend(_children(node))
            if tag not in _FLOWING:
                yield " "


def _is_sign(node: LexborNode) -> bool:
    return "#" in (node.attributes.get("href") or "") and not any(c.isalnum() for c in node.text())


def _children(node: LexborNode) -> Iterable[LexborNode]:
    return reversed(list(node.iter(include_text=True)))
