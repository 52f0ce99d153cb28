"""Which reader a document is for. Pure."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath

from factotum.documents.errors import NotADocument


class Format(StrEnum):
    MARKDOWN = "markdown"
    TEXT = "text"
    HTML = "html"
    PDF = "pdf"
    OPENAPI = "openapi"


# Most bytes of a document. More of YAML or HTML is read for minutes; PDF holds pictures.
MOST_BYTES = {
    Format.MARKDOWN: 8 * 1024 * 1024,
    Format.TEXT: 8 * 1024 * 1024,
    Format.HTML: 16 * 1024 * 1024,
    Format.PDF: 64 * 1024 * 1024,
    Format.OPENAPI: 32 * 1024 * 1024,
}

SUFFIXES = {
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".txt": Format.TEXT,
    ".text": Format.TEXT,
    ".rst": Format.TEXT,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".xhtml": Format.HTML,
    ".pdf": Format.PDF,
    ".json": Format.OPENAPI,
    ".yaml": Format.OPENAPI,
    ".yml": Format.OPENAPI,
}
# By `type/subtype`, or by the `+suffix` of a subtype.
_MEDIA_TYPES = {
    "text/markdown": Format.MARKDOWN,
    "text/x-markdown": Format.MARKDOWN,
    "text/html": Format.HTML,
    "application/xhtml+xml": Format.HTML,
    "application/pdf": Format.PDF,
    "application/json": Format.OPENAPI,
    "text/json": Format.OPENAPI,
    "application/yaml": Format.OPENAPI,
    "application/x-yaml": Format.OPENAPI,
    "text/yaml": Format.OPENAPI,
    "text/x-yaml": Format.OPENAPI,
    "+json": Format.OPENAPI,
    "+yaml": Format.OPENAPI,
}
# They say nothing, or too little: what it is follows from its name. Servers of raw files send Markdown as plain text.
_VAGUE = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream", "text/x-rst"})
_PDF = b"%PDF-"
# Where readers of PDF look for its beginning.
_PDF_WITHIN = 1024


def format_of(path: str, beginning: bytes, media_type: str = "") -> Format:
    """The format of a document with this path and beginning, of which a server says that it is of this media type.

    What no name, type or beginning tells is text; the reader says if it is none. Raises `NotADocument`.
    """
    if _PDF in beginning[:_PDF_WITHIN]:
        return Format.PDF
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in _VAGUE:
        suffix = f"+{kind.rpartition('+')[2]}" if "+" in kind else ""
        found = _MEDIA_TYPES.get(kind) or _MEDIA_TYPES.get(suffix)
        if found is None and not kind.startswith("text/"):
            raise NotADocument(f"there is no reader for {kind}: Markdown, text, HTML, PDF and OpenAPI are read")
        return found or Format.TEXT
    return SUFFIXES.get(PurePosixPath(path).suffix.lower(), Format.TEXT)
