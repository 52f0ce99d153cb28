"""References of secrets, wherever they stand in settings. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from factotum.runtime.secrets.names import is_reference


def references(value: Any) -> Iterator[str]:
    """Every text in models, maps and lists that is `secret://name` and nothing else."""
    if isinstance(value, str):
        if is_reference(value):
            yield value
    elif isinstance(value, BaseModel):
        for _, inner in value:
            yield from references(inner)
    elif isinstance(value, dict):
        for inner in (*value.keys(), *value.values()):
            yield from references(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from references(inner)
