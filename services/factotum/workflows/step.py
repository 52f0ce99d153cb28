"""One call as the interpreter asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factotum.workflows.contract import ApprovalProof, SecretMarks


@dataclass(frozen=True, slots=True)
class Step:
    """One call.

    Attributes:
        pointer, iteration: which step of the document, in which round of its loops.
        patient: retried until it succeeds, as long as its error is retryable; False inside a `try`,
            whose author decides.
        compensation: it undoes the step at the pointer.
        settle: only find out what became of the step's effect.
        secrets: which marks in the arguments stand for secrets; None: none do.
        approval: who approved this very call; None where nobody was asked.
        run_id: whose step it is, where that is a run nested in this one; empty: this one's.
    """

    pointer: str
    iteration: str
    tool: str
    arguments: dict[str, Any]
    summary: str
    patient: bool
    compensation: bool = False
    settle: bool = False
    secrets: SecretMarks | None = None
    approval: ApprovalProof | None = None
    run_id: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells this step's effect from every other of the run."""
        return self.run_id, self.pointer, self.iteration
