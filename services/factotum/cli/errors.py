"""What ends a command other than well. Exit statuses are part of the command's contract."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """OK: done, or every run completed. FAILED: a run or a request failed, or the stack does not run.
    USAGE: bad input. TIMEOUT: what was waited for had not ended in time."""

    OK = 0
    FAILED = 1
    USAGE = 2
    TIMEOUT = 3


class CommandError(Exception):
    """Ends the command with one sentence on standard error."""

    status = ExitStatus.FAILED


class StackNotRunning(CommandError):
    """No local stack runs on this data directory, or one of its parts does not answer."""


class BadInput(CommandError):
    """What was given cannot be used."""

    status = ExitStatus.USAGE


class Refused(CommandError):
    """A part answered that it did not do what it was asked."""


class TimedOut(CommandError):
    status = ExitStatus.TIMEOUT
