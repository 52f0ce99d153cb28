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


def may_name_secrets(text: str) -> bool:
    """Whether the value of a JSON text may have such a field: if not, `without_secrets` changes nothing of it."""
    # An escape can stand for any character of a name.
    return "\\" in text or _SECRET.search(_SEPARATORS.sub("", text.lower())) is not None
