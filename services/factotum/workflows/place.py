"""A task under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factotum.workflows.progress import Frame
from factotum.workflows.scope import Scope


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task stands and what it was given.

    Attributes:
        pointer: JSON pointer of the task in the document.
        value: the transformed input.
        arguments: what its expressions may name, by name.
        frame: what must outlive this execution; see `progress`.
    """

    pointer: str
    value: Any
    arguments: dict[str, Any]
    scope: Scope
    frame: Frame

    @property
    def iteration(self) -> str:
        return ".".join(self.scope.iteration)
