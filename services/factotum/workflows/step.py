"""One call as the interpreter asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One call.

    Attributes:
        pointer, iteration: which step of the document, in which round of its loops.
        patient: retried until it succeeds, as long as its error is retryable; False inside a `try`,
            whose author decides.
        compensation: it undoes the step at the pointer.
        settle: only find out what became of the step's effect.
    """

    pointer: str
    iteration: str
    tool: str
    arguments: dict[str, Any]
    summary: str
    patient: bool
    compensation: bool = False
    settle: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        """What tells this step's effect from every other of the run."""
        return self.pointer, self.iteration
