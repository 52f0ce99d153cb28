"""Plain text, and the characters of every text. Pure."""

from __future__ import annotations

import codecs
import re
import unicodedata

from factotum.documents.errors import NotADocument
from factotum.documents.sections import Block, Outline, Reading

_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Names of encodings of characters; Python knows others that decompress or take long.
_CHARSET = re.compile(
    r"utf-?(?:8|16|32)(?:-?[lb]e)?|us-ascii|latin-?1|iso-?8859-\d{1,2}|(?:windows-|cp)\d{3,4}|macintosh|koi8-[ru]|"
    r"shift[_-]jis|euc-(?:jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# Of characters: what holds more of those that no text has is none.
_MOST_ODD = 0.001
# A title underlined with one character, as reStructuredText has it.
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+:._])\1{2,}\s*")
_PARAGRAPHS = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def decoded(content: bytes, charset: str = "") -> str:
    """The characters, lines ended by a newline alone, other control characters left out.

    By its byte order mark, else as `charset` says, else UTF-8, else Windows-1252. Raises `NotADocument` for what is no
    text.
    """
    text = _characters(content, charset)
    odd = len(_NO_TEXT.findall(text))
    if "\x00" in text or odd > _MOST_ODD * len(text):
        raise NotADocument("it is no text: Markdown, text, HTML, PDF and OpenAPI are read")
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n\n")
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def _characters(content: bytes, charset: str) -> str:
    for mark, encoding in _BOMS.items():
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    if _CHARSET.fullmatch(charset):
        try:
            return content.decode(charset, errors="replace")
        except LookupError:
            pass
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("windows-1252", errors="replace")


def read(content: bytes, charset: str = "") -> Reading:
    """Its paragraphs; underlined lines are headings. Raises `NotADocument`."""
    outline, levels = Outline(), list[str]()
    for paragraph in _PARAGRAPHS.split(decoded(content, charset)):
        lines = paragraph.strip("\n").split("\n")
        if _is_heading(lines):
            sign = lines[1][0]
            levels = levels if sign in levels else [*levels, sign]
            outline.heading(levels.index(sign) + 1, lines[0].strip())
            lines = lines[2:]
        outline.block(Block("\n".join(line.rstrip() for line in lines)))
    sections = outline.sections()
    return Reading(sections[0].titles[0] if sections and sections[0].titles else "", sections)


def _is_heading(lines: list[str]) -> bool:
    if len(lines) < 2 or not any(c.isalnum() for c in lines[0]):
        return False
    return bool(_UNDERLINE.fullmatch(lines[1])) and len(lines[1].rstrip()) >= len(lines[0].strip())
