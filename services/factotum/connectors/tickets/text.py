"""Plain text as a document in the Atlassian Document Format, and back. Pure.

https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
"""

from __future__ import annotations

from typing import Any

_BLOCKS = frozenset(
    {"paragraph", "heading", "codeBlock", "blockquote", "listItem", "bulletList", "orderedList", "panel", "rule"}
)


def written(text: str) -> dict[str, Any]:
    """A paragraph for each part between empty lines; its lines stay lines."""
    paragraphs = [part.strip("\n") for part in text.replace("\r\n", "\n").split("\n\n")]
    content = [{"type": "paragraph", "content": _lines(part)} for part in paragraphs if part.strip()]
    return {"type": "doc", "version": 1, "content": content}


def plain(document: Any) -> str:
    """The text of a document without its form; empty for none."""
    return _plain(document).strip("\n") if isinstance(document, dict) else ""


def _lines(part: str) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    for number, line in enumerate(part.split("\n")):
        if number:
            nodes.append({"type": "hardBreak"})
        if line:
            nodes.append({"type": "text", "text": line})
    return nodes


def _plain(node: dict[str, Any]) -> str:
    match node.get("type"):
        case "text":
            return str(node.get("text", ""))
        case "hardBreak":
            return "\n"
        case "mention" | "emoji" | "status":
            return str((node.get("attrs") or {}).get("text", ""))
    inside = [_plain(one) for one in node.get("content") or () if isinstance(one, dict)]
    if node.get("type") == "doc":
        return "\n\n".join(part.strip("\n") for part in inside if part.strip("\n"))
    return "".join(inside) + ("\n" if node.get("type") in _BLOCKS else "")
