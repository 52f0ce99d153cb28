"""What chunks are called, and what of that a new version of their document leaves."""

from __future__ import annotations

from factotum.documents import markdown
from factotum.documents.chunks import Chunk, chunks
from factotum.documents.naming import chunk_ids

PAGE = "# Guide\n\n" + "\n\n".join(f"## Part {index}\n\nThe text of part {index}." for index in range(9))


def ids_of(page: str, uri: str = "file:///guide.md", tenant: str = "acme") -> list[str]:
    return chunk_ids(tenant, uri, chunks(markdown.read(page.encode()), "guide"))


def test_a_chunk_that_a_new_version_leaves_keeps_its_id_wherever_it_stands() -> None:
    before = ids_of(PAGE)
    after = ids_of(PAGE.replace("## Part 4", "## New\n\nWritten today.\n\n## Part 4").replace("of part 7.", "of 7."))
    assert len(set(before) - set(after)) == 1
    assert len(set(after) - set(before)) == 2


def test_ids_are_of_their_tenant_and_document_and_each_is_used_once() -> None:
    assert not {*ids_of(PAGE)} & {*ids_of(PAGE, uri="file:///other.md")}
    assert not {*ids_of(PAGE)} & {*ids_of(PAGE, tenant="other")}
    twice = chunk_ids("acme", "file:///a", [Chunk("Same.", "A"), Chunk("Same.", "A"), Chunk("Same.", "B")])
    assert len(set(twice)) == 3
