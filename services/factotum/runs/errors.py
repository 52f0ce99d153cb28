"""What can be wrong with a run that is asked for, and with a decision on one of its calls."""

from __future__ import annotations

from temporalio.service import RPCError, RPCStatusCode


class RunNotFound(LookupError):
    """There is no such run, or it is another tenant's."""


class RunEnded(ValueError):
    """The run has ended: nothing can be asked of it any more."""


class TemporalUnavailable(Exception):
    """Temporal did not answer. What was asked may have been done: ask again."""


class NoAnswer(TemporalUnavailable):
    """The run did not answer: no worker carries it on at present."""


class RunRefused(ValueError):
    """Temporal will never take this run, e.g. because its input is too large."""


class ClaimUnreadable(Exception):
    """What a run carries is not where its claim says, or is not what was put there."""


class NothingWaits(LookupError):
    """No call waits there for a person."""


class CallChanged(ValueError):
    """The call that waits is another one than was decided upon."""


class NotAmongThem(ValueError):
    """Who decided is not among those who may."""


def translated(error: RPCError) -> Exception:
    """`RunRefused` where asking again cannot help, else `TemporalUnavailable`."""
    if error.status in (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION):
        return RunRefused(f"Temporal refuses the run: {error.message}")
    return TemporalUnavailable(f"Temporal did not answer: {error.status.name} {error.message}")
