"""Chunks: nothing is lost, each is read whole, the same each time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.documents.chunks import MOST_LABEL_CHARACTERS, MOST_TOKENS, Chunk, chunks
from factotum.documents.sections import Block, Reading, Section
from factotum.documents.tokens import BYTES_A_TOKEN, counter

WORDS = st.one_of(
    st.sampled_from(
        ["the", "of", "a", "installation", "Über", "日本語", "x" * 700, "create_user", "12345", "…", ".", "🙂"]
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=12),
)
PROSE = st.lists(
    st.tuples(WORDS, st.sampled_from([" ", ". ", "\n", "\n\n", "? ", "   ", " " * 500])), max_size=150
).map(lambda parts: "".join(word + blank for word, blank in parts))
BLOCKS = st.builds(Block, PROSE, lines=st.booleans(), page=st.integers(0, 3))
SECTIONS = st.builds(
    Section, st.lists(st.text(max_size=60), max_size=4).map(tuple), st.lists(BLOCKS, max_size=5).map(tuple)
)
READINGS = st.builds(Reading, st.text(max_size=200), st.lists(SECTIONS, max_size=3).map(tuple))


def one_section(*blocks: Block, titles: tuple[str, ...] = ("Guide",)) -> list[Chunk]:
    return chunks(Reading("Guide", (Section(titles, blocks),)), "file")


@settings(max_examples=80, deadline=None)
@given(READINGS)
def test_every_word_is_in_a_chunk_and_in_order(reading: Reading) -> None:
    found = chunks(reading, "file")
    rest = iter(found)
    chunk = next(rest, None)
    words = [word for section in reading.sections for block in section.blocks for word in block.text.split()]
    for word in words:
        if counter(word)(word) > MOST_TOKENS // 2:
            continue  # it may have been cut
        while chunk is not None and word not in chunk.text:
            chunk = next(rest, None)
        assert chunk is not None, f"{word!r} is lost"
    assert all(each.text.strip() for each in found)


@settings(max_examples=80, deadline=None)
@given(READINGS)
def test_chunks_are_bounded_and_the_same_each_time(reading: Reading) -> None:
    found = chunks(reading, "file")
    assert found == chunks(reading, "file")
    for section in reading.sections:
        count = counter("\n".join(block.text for block in section.blocks))
        for chunk in chunks(Reading(reading.title, (section,)), "file"):
            if section.blocks:
                assert count(chunk.text) <= MOST_TOKENS
            assert len(chunk.text.encode()) <= MOST_TOKENS * BYTES_A_TOKEN
            assert len(chunk.section) <= MOST_LABEL_CHARACTERS + len(", pages 99999-99999")


def test_a_word_longer_than_a_chunk_is_cut_without_losing_a_letter() -> None:
    key = "".join(chr(ord("a") + index % 26) for index in range(5000))
    assert "".join(chunk.text for chunk in one_section(Block(key))) == key


def test_a_cut_paragraph_says_its_last_sentence_again() -> None:
    sentences = [f"This is the sentence of the number {index}, and it says it." for index in range(40)]
    found = one_section(Block(" ".join(sentences)))
    assert len(found) > 1
    for before, after in pairwise(found):
        assert after.text.split(". ")[0].rstrip(".") in before.text
    assert all(sentence in "\n".join(chunk.text for chunk in found) for sentence in sentences)


def test_paragraphs_are_not_cut_where_they_fit_and_nothing_is_said_twice_between_them() -> None:
    paragraphs = [" ".join([f"word{index}"] * 60) for index in range(9)]
    found = one_section(*map(Block, paragraphs))
    assert "\n\n".join(chunk.text for chunk in found) == "\n\n".join(paragraphs)


def test_code_is_kept_whole_with_its_margins_and_cut_between_lines_if_it_must() -> None:
    small = "def one():\n    return 1"
    (chunk,) = one_section(Block("Before."), Block(small, lines=True))
    assert chunk.text == f"Before.\n\n{small}"
    long = "\n".join(f"    line_{index} = value_{index}" for index in range(100))
    found = one_section(Block(long, lines=True))
    assert len(found) > 1
    assert "\n".join(chunk.text for chunk in found) == long


def test_a_cut_table_begins_with_its_titles_each_time() -> None:
    rows = [f"employee {index} | department of things {index}" for index in range(60)]
    found = one_section(Block("\n".join(["name | department", *rows]), lines=True, head="name | department\n"))
    assert len(found) > 1
    assert all(chunk.text.startswith("name | department\nemployee") for chunk in found)
    assert [row for chunk in found for row in chunk.text.split("\n")[1:]] == rows


def test_chunks_of_a_section_are_about_equally_long() -> None:
    found = one_section(Block(" ".join(["Nine words are in this sentence, and no more."] * 26)))
    sizes = [len(chunk.text) for chunk in found]
    assert len(sizes) == 2 and max(sizes) < 1.5 * min(sizes)


@pytest.mark.parametrize(
    ("titles", "title", "section"),
    [
        (("Install", "From source"), "Guide", "Guide > Install > From source"),
        (("Guide", "Install"), "Guide", "Guide > Install"),
        ((), "", "notes"),
        (("A" * 100, "B" * 100, "C"), "Guide", f"Guide > … > {'B' * 100} > C"),
    ],
)
def test_a_section_says_where_the_chunk_stands(titles: tuple[str, ...], title: str, section: str) -> None:
    (chunk,) = chunks(Reading(title, (Section(titles, (Block("Text."),)),)), "notes")
    assert chunk.section == section


def test_headings_and_pages_count() -> None:
    text = " ".join(["Nine words are in this sentence, and no more."] * 200)
    count = counter(text)
    titles = ("Of headings there are many words", "and more of them here")
    found = one_section(*[Block(text, page=page) for page in range(100, 104)], titles=titles)
    sizes = [count(chunk.section) + count(chunk.text) for chunk in found]
    assert 0.9 * MOST_TOKENS < max(sizes) <= MOST_TOKENS


def test_pages_are_said() -> None:
    (chunk,) = one_section(Block("Text.", page=3), Block("More.", page=4))
    assert (chunk.section, chunk.page) == ("Guide, pages 3-4", 3)


def test_a_heading_over_nothing_is_a_chunk_of_its_own() -> None:
    (chunk,) = one_section(titles=("Guide", "To be written"))
    assert chunk == Chunk("To be written", "Guide > To be written")
