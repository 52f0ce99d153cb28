"""Where a document names its secrets: `$secrets.name`, or `$secrets.name.key` for a value inside one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = Any

_PATH = re.compile(r"""\$secrets((?:\.[A-Za-z_]\w*|\.?\["[^"\\]+"\]|\."[^"\\]+")+)""")
_KEY = re.compile(r"""\.?\["([^"\\]+)"\]|\."([^"\\]+)"|\.([A-Za-z_]\w*)""")


def secret_paths(value: Json) -> Iterator[tuple[str, ...]]:
    """The name and the keys behind every `$secrets` in the texts of a value."""
    if isinstance(value, str):
        if "$secrets" in value:
            for path in _PATH.findall(value):
                yield tuple("".join(keys) for keys in _KEY.findall(path))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secret_paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from secret_paths(inner)
