"""What no event and no memory may hold: values whose names say that they are secrets. Pure."""

from __future__ import annotations

import re
from typing import Any

_SECRET = re.compile(r"password|passwd|passphrase|token|secret|apikey|credential|privatekey|authorization")
_SEPARATORS = re.compile(r"[-_.\s]")


def without_secrets(value: Any) -> Any:
    """The same JSON value without the fields whose names say that they hold a secret."""
    if isinstance(value, dict):
        return {
            name: without_secrets(inner)
            for name, inner in value.items()
            if not _SECRET.search(_SEPARATORS.sub("", str(name).lower()))
        }
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value
