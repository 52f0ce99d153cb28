"""`$secrets` in a run: marks, which only the tool executor can turn into values.

Source of their form: `SecretMarks` in protos/factotum/api/tools/v1/tools.proto.
"""

from __future__ import annotations

from typing import Any

from factotum.procedures.secret_paths import secret_paths

Json = Any


def mark(nonce: str, path: tuple[str, ...]) -> str:
    """The text that stands for a secret (one name) or for a value inside it (name and keys)."""
    return f"\u27e6{nonce}:{'/'.join(path)}\u27e7"


def marks(document: Json, names: tuple[str, ...], nonce: str) -> dict[str, Json]:
    """`$secrets`: for every path that the document mentions, and every declared name, its mark.

    Where a secret is used both whole and by its keys, the keys count.
    """
    found: dict[str, Json] = {}
    paths = sorted({*((name,) for name in names), *secret_paths(document)}, key=len)
    for path in paths:
        if path[0] not in names:
            continue
        inner = found
        for key in path[:-1]:
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner.setdefault(path[-1], mark(nonce, path))
    return found
