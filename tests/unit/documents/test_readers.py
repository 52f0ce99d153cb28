"""What is read of a document in each format."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import yaml

from factotum.documents import html, markdown, openapi, pdf, text
from factotum.documents.chunks import chunks
from factotum.documents.errors import NotADocument, Unreadable
from factotum.documents.formats import Format, format_of
from factotum.documents.sections import Block, Section
from tests.support import pet_store_documents
from tests.support.pdf import pdf as made_pdf


def test_markdown() -> None:
    found = markdown.read(
        b"""---
title: "The guide"
tags: [a, b]
---
Before any heading, with a [link](https://acme.example/x) and `code`.

Guide
=====

## Install ##

1. Download **it**
2. Start it:
   ```sh
   factotum dev
   ```
   - a thing inside

> A quotation
> goes on.

| port | what |
|------|------|
| 7233 | Temporal |

### Deeper

    indented code

## Empty
"""
    )
    assert found.title == "The guide"
    assert found.sections == (
        Section((), (Block("Before any heading, with a link and code."),)),
        Section(
            ("Guide", "Install"),
            (
                Block("1. Download it\n2. Start it:\n  factotum dev\n  - a thing inside", lines=True),
                Block("A quotation goes on."),
                Block("port | what\n7233 | Temporal", lines=True, head="port | what\n"),
            ),
        ),
        Section(("Guide", "Install", "Deeper"), (Block("indented code", lines=True),)),
        Section(("Guide", "Empty"), ()),
    )


def test_html_in_markdown_is_read_as_html() -> None:
    found = markdown.read(
        b'<h1 align="center">Factotum</h1>\n\n<!-- no word -->\n\nIt <br>acts.\n\n<p>And <b>more</b>.</p>\n'
    )
    assert found.title == "Factotum"
    assert found.sections == (Section(("Factotum",), (Block("It \nacts."), Block("And more."))),)


def test_html() -> None:
    found = html.read(
        """<!DOCTYPE html><html><head><title>Install: Acme</title><style>p {}</style></head><body>
        <header><a>Acme</a></header><nav><a href="/">Home</a></nav>
        <main><header><h1>Install<a href="#install">¶</a></h1></header>
        <p>First&nbsp;<em>this</em>,<br>then <code>that</code>.</p>
        <script>var x = 1;</script><p hidden>Nothing</p><span aria-hidden="true">⚠</span>
        <h2>On Linux</h2>
        <pre><code><span>a = 1</span>
  b = 2
</code></pre>
        <ul><li>One<ol><li>Inner <b>one</b></li><li>Inner two</li></ol></li><li><p>Two</p></li></ul>
        <table><caption>Ports</caption><tr><th>port</th><th>what</th></tr><tr><td>7233</td><td>Temporal<br>UI</td></tr></table>
        <aside>Mind this.</aside><img src="x" alt="A picture">
        <footer>Edit this page</footer></main>
        <footer>© Acme</footer></body></html>""".encode()
    )
    assert found.title == "Install: Acme"
    assert found.sections == (
        Section(("Install",), (Block("First this,\nthen that."),)),
        Section(
            ("Install", "On Linux"),
            (
                Block("a = 1\n  b = 2\n", lines=True),
                Block("- One\n  1. Inner one\n  2. Inner two\n- Two", lines=True),
                Block("Ports"),
                Block("port | what\n7233 | Temporal UI", lines=True, head="port | what\n"),
                Block("Mind this."),
                Block("A picture"),
            ),
        ),
    )


def test_html_without_a_main_part_is_read_without_what_stands_around() -> None:
    found = html.read(
        b"<title>T</title><nav>Home</nav><aside>Ads</aside><header>Logo</header><table><tr><td><h2>H</h2>Text</table>"
    )
    assert found.sections == (Section(("H",), (Block("Text"),)),)


@pytest.mark.parametrize(
    "head", [b'<meta charset="iso-8859-1">', b'<meta http-equiv=x content="text/html; charset=latin1">']
)
def test_html_says_its_characters(head: bytes) -> None:
    found = html.read(head + b"<p>B\xfcro</p>")
    assert found.sections[0].blocks == (Block("Büro"),)


def test_text() -> None:
    found = text.read(
        "Guide\n=====\n\nOne\r\nline.\n \n\nInstall\n-------\nTwo.\n\nUse\n---\n\nThree.\n".encode("utf-16")
    )
    assert found.title == "Guide"
    assert found.sections == (
        Section(("Guide",), (Block("One\nline."),)),
        Section(("Guide", "Install"), (Block("Two."),)),
        Section(("Guide", "Use"), (Block("Three."),)),
    )


@pytest.mark.parametrize(
    ("content", "charset", "characters"),
    [
        (b"B\xc3\xbcro", "", "Büro"),
        (b"\xef\xbb\xbfB\xc3\xbcro", "latin-1", "Büro"),
        (b"B\xfcro \x80", "", "Büro €"),
        (b"B\xfcro", "ISO-8859-1", "Büro"),
        (b"Buero", "unicode_escape", "Buero"),
        ("東京".encode("shift_jis"), "Shift_JIS", "東京"),
        (b"a\x0bb\x1bc\rd", "", "abc\nd"),
    ],
)
def test_characters(content: bytes, charset: str, characters: str) -> None:
    assert text.decoded(content, charset) == characters


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\x01\x00\x00", bytes(range(1, 256)), b"\x89PNG\r\n\x1a\n\x00"])
def test_what_is_no_text_is_said(content: bytes) -> None:
    with pytest.raises(NotADocument, match="no text"):
        text.read(content)


LONG = "This line is as long as the lines of a paragraph are, and it goes on"


def test_pdf() -> None:
    found = pdf.read(
        made_pdf(
            [
                [
                    "Acme handbook",
                    "1 Leave",
                    LONG,
                    "with a word that is hy-",
                    "phenated. Done.",
                    LONG,
                    "to its end.",
                    "1",
                ],
                ["Acme handbook", LONG, "on the next page.", "1.1 Sick leave", "Call (early) at 8 \\ 9.", "2"],
                ["Acme handbook", "Contents . . . . . . . . . . . . 3", "Pay comes monthly.", "3"],
            ],
            title="Handbook",
            outline=[(1, "1 Leave", 1), (2, "1.1 Sick leave", 2), (1, "Not a line", 3)],
        )
    )
    assert (found.title, found.remarks) == ("Handbook", ())
    assert found.sections == (
        Section(
            ("1 Leave",),
            (
                Block(f"{LONG}\nwith a word that is hyphenated. Done.", page=1),
                Block(f"{LONG}\nto its end.", page=1),
                Block(f"{LONG}\non the next page.", page=2),
            ),
        ),
        Section(("1 Leave", "1.1 Sick leave"), (Block("Call (early) at 8 \\ 9.", page=2),)),
        Section(("Not a line",), (Block("Contents … 3\nPay comes monthly.", page=3),)),
    )
    assert chunks(found, "x")[0].section == "Handbook > 1 Leave, pages 1-2"


def test_a_pdf_that_only_its_owner_may_change_is_read() -> None:
    (section,) = pdf.read(made_pdf([["Readable."]], password="")).sections
    assert section.blocks == (Block("Readable.", page=1),)


def test_pages_without_text_are_said() -> None:
    assert pdf.read(made_pdf([["Text."], [], []])).remarks == ("2 of 3 pages hold no text, the first is page 2",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (made_pdf([["Secret."]], password="tulip"), "encrypted: take its password off, e.g. with `qpdf"),
        (made_pdf([[], []]), "it was scanned. Recognise its text first"),
        (made_pdf([["a"]] * (pdf.MOST_PAGES + 1)), "2001 pages, and at most 2000"),
        (b"%PDF-1.7\nnothing more", "no PDF that can be read"),
        (made_pdf([["a"]]).replace(b"/Pages", b"/Pags_"), "broken PDF"),
    ],
    ids=["encrypted", "scanned", "long", "cut", "broken"],
)
def test_a_pdf_that_cannot_be_read_is_said_with_what_to_do(content: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        pdf.read(content)


INTERFACE: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Leave", "version": "1", "description": "Asks for *leave*.\n\n# Limits\n\nTen a day."},
    "paths": {
        "/people/{id}/leave": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "post": {
                "operationId": "askLeave",
                "tags": ["leave"],
                "summary": "Ask for leave",
                "description": "The **manager** decides.",
                "parameters": [
                    {"name": "kind", "in": "query", "schema": {"type": "string", "enum": ["sick", "holiday"]}},
                    {"$ref": "https://elsewhere.example/x"},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Leave"}}}},
                "responses": {
                    "201": {
                        "description": "It was asked.",
                        "content": {
                            "application/json": {
                                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Leave"}}
                            }
                        },
                    },
                    "404": {"description": "Nobody has this id. Look again."},
                },
            },
        }
    },
    "components": {
        "parameters": {
            "id": {"name": "id", "in": "path", "required": True, "description": "The person's id. Not a name.",
                   "schema": {"type": "integer", "format": "int64"}}
        },
        "schemas": {
            "Leave": {
                "required": ["from"],
                "properties": {
                    "from": {"type": "string", "format": "date"},
                    "deputies": {"type": "array", "items": {"$ref": "#/components/schemas/Person"}},
                },
            },
            "Person": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "leave": {"$ref": "#/components/schemas/Leave"}},
            },
        },
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "written", [lambda value: json.dumps(value).encode(), lambda value: yaml.safe_dump(value, sort_keys=False).encode()]
)
def test_openapi(written: Any) -> None:
    found = chunks(openapi.read(written(INTERFACE)), "x")
    assert [(chunk.section, chunk.text) for chunk in found[:2]] == [
        ("Leave", "Asks for leave."),
        ("Leave > Limits", "Ten a day."),
    ]
    (operation,) = found[2:]
    assert operation.section == "Leave > POST /people/{id}/leave"
    assert operation.text == (
        "POST /people/{id}/leave: Ask for leave\n\noperation askLeave, leave\n\nThe manager decides.\n\n"
        "Parameters:\n"
        "id (path, integer int64, required): The person's id\n"
        "kind (query, string): one of sick, holiday\n\n"
        "Body:\n"
        "from (string date, required)\n"
        "deputies (array of object)\n"
        "  name (string)\n"
        "  leave\n\n"
        "Answers:\n"
        "201: It was asked with from, deputies\n"
        "404: Nobody has this id"
    )


@pytest.mark.parametrize(
    "made", [pet_store_documents.openapi_3, partial(pet_store_documents.swagger_2, "pets.example")]
)
def test_every_operation_of_both_kinds_of_document_is_a_chunk(made: Any) -> None:
    document = made()
    operations = sum(len([method for method in item if method != "parameters"]) for item in document["paths"].values())
    found = chunks(openapi.read(json.dumps(document).encode()), "x")
    assert len({chunk.section for chunk in found if " > " in chunk.section}) == operations


@pytest.mark.parametrize(
    "content",
    [b"{}", b"[1]", b"a: 1", b"no: [yaml", b'{"openapi": "4.0.0", "paths": {}}', b"a: &a [1]\n" + b"b: *a\n" * 5],
)
def test_what_is_no_interface_is_no_document(content: bytes) -> None:
    with pytest.raises(NotADocument):
        openapi.read(content)


def test_a_schema_inside_itself_ends() -> None:
    node = {"$ref": "#/components/schemas/Node"}
    document = {
        "openapi": "3.0.0",
        "paths": {"/x": {"put": {"requestBody": {"content": {"x": {"schema": node}}}}}},
        "components": {
            "schemas": {"Node": {"allOf": [node, node], "items": node, "type": "array", "properties": {"a": node}}}
        },
    }
    assert "a (array of array" in chunks(openapi.read(json.dumps(document).encode()), "x")[0].text


@pytest.mark.parametrize(
    ("path", "beginning", "media_type", "form"),
    [
        ("a/README.md", b"", "", Format.MARKDOWN),
        ("a/b.HTML", b"", "", Format.HTML),
        ("LICENSE", b"MIT", "", Format.TEXT),
        ("notes.txt", b"junk %PDF-1.4", "", Format.PDF),
        ("api.yaml", b"", "", Format.OPENAPI),
        ("/docs/install", b"", "text/html; charset=utf-8", Format.HTML),
        ("/raw/README.md", b"", "text/plain; charset=utf-8", Format.MARKDOWN),
        ("/download.pdf", b"", "application/octet-stream", Format.PDF),
        ("/openapi", b"", "application/vnd.oai.openapi+json;version=3.1", Format.OPENAPI),
        ("/x", b"", "text/csv", Format.TEXT),
    ],
)
def test_formats(path: str, beginning: bytes, media_type: str, form: Format) -> None:
    assert format_of(path, beginning, media_type) is form


def test_a_media_type_without_a_reader_is_said() -> None:
    with pytest.raises(NotADocument, match="no reader for image/png"):
        format_of("/x.md", b"", "image/png")
