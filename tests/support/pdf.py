"""PDF files as tests want them."""

from __future__ import annotations

import io
from collections.abc import Sequence

from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

_LEADING = 14


def pdf(
    pages: Sequence[Sequence[str]],
    *,
    title: str = "",
    outline: Sequence[tuple[int, str, int]] = (),
    password: str | None = None,
    algorithm: str = "AES-256",
) -> bytes:
    """A PDF of these lines.

    Args:
        outline: level, title and page of each heading, both counted from 1.
        password: without which it cannot be read; empty: it is protected from change alone; None: it is not encrypted.
    """
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
            NameObject("/Encoding"): NameObject("/WinAnsiEncoding"),
        }
    )
    reference = writer._add_object(font)
    for lines in pages:
        page = writer.add_blank_page(width=595, height=842)
        content = DecodedStreamObject()
        content.set_data(_drawn(lines))
        page[NameObject("/Contents")] = writer._add_object(content)
        fonts = DictionaryObject({NameObject("/F1"): reference})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    above = {}
    for level, heading, number in outline:
        above[level] = writer.add_outline_item(title=heading, page_number=number - 1, parent=above.get(level - 1))
    if title:
        writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(password, f"{password}-of-the-owner", algorithm=algorithm)
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def _drawn(lines: Sequence[str]) -> bytes:
    drawn = [f"BT /F1 11 Tf {_LEADING} TL 50 800 Td".encode()]
    for line in lines:
        text = line.encode("windows-1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        drawn.append(b"(" + text + b") Tj T*")
    return b"\n".join([*drawn, b"ET"])
