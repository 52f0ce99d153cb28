"""What is wrong with a document, where, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake.

    Attributes:
        pointer: JSON pointer into the document; empty for the whole of it.
        line, column: 1-based place in its text; 0 where the document has no text.
    """

    pointer: str
    message: str
    advice: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
        return f"{place}{self.pointer or '/'}: {self.message}{'. ' + self.advice if self.advice else ''}"


class FaultyDocument(ValueError):
    """A document that cannot be run. `faults` is never empty."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults
