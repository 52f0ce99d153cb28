"""What can go wrong when a tool is called. Each type says whether a retry can help.

`effect_possible` is what the effect ledger reads: False states that the system certainly did not
carry out the effect, so that the key may be tried afresh; True that it may have, so that the system
is asked before anything is done again.
"""

from __future__ import annotations

from typing import ClassVar


class ToolError(Exception):
    """Base of every error a tool may raise.

    Args:
        message: one sentence with the system's own words and the way to mend it. Never a secret.
        effect_possible: overrides the type's default where the tool knows better, e.g. a
            connection that was refused before anything was sent.
        status: the HTTP status that the system answered with; None where it answered none. A
            procedure's `catch` can filter on it.
    """

    kind: ClassVar[str]
    retryable: ClassVar[bool]
    effect_possible: bool

    def __init__(self, message: str, *, effect_possible: bool | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        if effect_possible is not None:
            self.effect_possible = effect_possible


class InvalidArgument(ToolError):
    """The arguments are refused, by their schema or by the system; the same call never succeeds."""

    kind, retryable, effect_possible = "invalid_argument", False, False


class NotPermitted(ToolError):
    """The caller or its credentials may not do this."""

    kind, retryable, effect_possible = "not_permitted", False, False


class NotFound(ToolError):
    """What the call refers to does not exist."""

    kind, retryable, effect_possible = "not_found", False, False


class Conflict(ToolError):
    """The system holds something that contradicts the call, e.g. the name is another person's."""

    kind, retryable, effect_possible = "conflict", False, False


class RateLimited(ToolError):
    """The system asks to come back later.

    Args:
        retry_after: seconds to wait; None where the system did not say.
    """

    kind, retryable, effect_possible = "rate_limited", True, False

    def __init__(self, message: str, *, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Unavailable(ToolError):
    """The system did not answer, or answered that it cannot now."""

    kind, retryable, effect_possible = "unavailable", True, True


class Ambiguous(ToolError):
    """Whether the effect happened is not known and cannot be asked: a person decides."""

    kind, retryable, effect_possible = "ambiguous", True, True


class Cancelled(ToolError):
    """The call was asked to end before it was done, and did.

    The tool executor raises it for a tool that was interrupted. A tool that knows what its interruption
    leaves behind may catch `asyncio.CancelledError` and raise this instead, with `effect_possible`.
    """

    kind, retryable, effect_possible = "cancelled", False, True


class NotDone(ToolError):
    """Answer to the question what became of an effect: it certainly did not happen."""

    kind, retryable, effect_possible = "not_done", False, False


class Failed(ToolError):
    """The system tried and failed for a reason that a retry does not mend."""

    kind, retryable, effect_possible = "failed", False, True


KINDS: dict[str, type[ToolError]] = {
    error.kind: error
    for error in (
        InvalidArgument,
        NotPermitted,
        NotFound,
        Conflict,
        RateLimited,
        Unavailable,
        Ambiguous,
        Cancelled,
        NotDone,
        Failed,
    )
}
