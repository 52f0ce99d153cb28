"""What was done and how it is undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factotum.procedures.model import Compensate


@dataclass(frozen=True, slots=True)
class Done:
    """A finished call that names its compensation, with the data that its arguments are made of."""

    pointer: str
    iteration: str
    compensate: Compensate
    output: Any
    arguments: Mapping[str, Any]


class Journal:
    """Finished calls in the order of their completion, each once however often it was retried."""

    def __init__(self) -> None:
        self._done: dict[tuple[str, str], Done] = {}

    def add(self, done: Done) -> None:
        self._done.setdefault((done.pointer, done.iteration), done)

    def backwards(self) -> Iterator[Done]:
        yield from reversed(list(self._done.values()))
