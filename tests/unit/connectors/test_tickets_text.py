"""Plain text in the Atlassian Document Format, and back."""

from __future__ import annotations

import pytest

from factotum.connectors.tickets import text


@pytest.mark.parametrize(
    "written",
    ["One line", "Two\nlines", "A\n\nB", "A\n\n\n\nB", "  indented", "A\n"],
)
def test_text_comes_back(written: str) -> None:
    assert text.plain(text.written(written)) == "\n\n".join(filter(None, written.strip("\n").split("\n\n"))).strip("\n")


def test_text_of_other_nodes() -> None:
    item = {"type": "listItem", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "one"}]}]}
    mention = {"type": "mention", "attrs": {"text": "@Ada"}}
    document = {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "heading", "content": [{"type": "text", "text": "Title"}]},
            {"type": "bulletList", "content": [item, item]},
            {"type": "paragraph", "content": [mention, {"type": "text", "text": " hello"}]},
        ],
    }
    assert text.plain(document) == "Title\n\none\n\none\n\n@Ada hello"
