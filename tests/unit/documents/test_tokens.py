"""The estimate of word pieces beside the tokenizer of the memory's own embedder."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from factotum.documents import html, markdown
from factotum.documents.chunks import chunks
from factotum.documents.tokens import counter
from factotum.memory.embedders.minilm import packaged_files

ROOT = Path(__file__).parents[3]
# What the embedder reads, without the two tokens around it.
READ = 254
GERMAN = (
    "Die Geschäftsführung beschließt über die Verwendung des Jahresüberschusses. Mitarbeiterinnen und Mitarbeiter "
    "erhalten Urlaubsgeld; die Krankenversicherungsbeiträge werden monatlich abgeführt. "
) * 30
RUSSIAN = "Пользователь должен указать имя файла, который следует загрузить. " * 50
JAPANESE = "東京都の職員は、申請書を提出しなければならない。" * 60
HEXADECIMAL = " ".join(f"{index * 7919:020x}" for index in range(300))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    made = Tokenizer.from_file(str(packaged_files().tokenizer))
    made.no_truncation()
    return made


@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, JAPANESE], ids=["german", "russian", "japanese"])
def test_it_is_rather_too_much(tokenizer: Tokenizer, text: str) -> None:
    assert counter(text)(text) >= 0.98 * len(tokenizer.encode(text, add_special_tokens=False).ids)


def test_chunks_are_read_whole_and_none_is_needlessly_small(tokenizer: Tokenizer) -> None:
    """Of every page of our own documentation, and of texts that are not English."""
    pages = [path.read_bytes() for path in sorted(ROOT.glob("docs/**/*.md"))]
    pages += [text.encode() for text in (GERMAN, RUSSIAN, JAPANESE, HEXADECIMAL)]
    found = [chunk for page in pages for chunk in chunks(markdown.read(page), "page")]
    sizes = [len(tokenizer.encode(f"{chunk.section}\n{chunk.text}").ids) for chunk in found]
    assert len(sizes) > 300
    assert max(sizes) <= READ
    assert sorted(sizes)[len(sizes) // 2] > 120


def test_markup_does_not_count(tokenizer: Tokenizer) -> None:
    page = b"<body>" + b"<p><span class='a-long-name-of-a-class'>Short</span> text.</p>" * 100
    found = chunks(html.read(page), "page")
    assert sum(len(tokenizer.encode(chunk.text).ids) for chunk in found) < 500
