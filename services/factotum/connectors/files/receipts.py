"""What was put in its place by which call, kept in the workshop: a call that was interrupted is asked for there, since
whoever takes files from a folder may have taken, changed or replaced this one by then.

A receipt is a symbolic link that leads nowhere; its text is the file's version. So it is there whole or not at all,
and takes no block. It is written before the file is put in its place, while the file waits in the workshop under
`waiting`: that a receipt is there and nothing waits any more says that it happened.

Receipts lie in one folder a day, by the executor's clock, and are taken away together. Raises `OSError`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from factotum.connectors.files.beneath import folder

# As long as an effect is asked for.
KEPT = timedelta(days=90)

_FOLDER = "receipts"
_WAITING = ".waiting"


@dataclass(frozen=True, slots=True)
class Receipt:
    day: str
    version: str


def waiting(owner: str) -> str:
    """The name in the workshop of a file that is about to be put in its place."""
    return f"{owner}{_WAITING}"


def write(workshop: int, owner: str, version: str, *, now: datetime) -> Receipt:
    """A receipt that is on the disk."""
    receipt = Receipt(now.date().isoformat(), version)
    with folder(workshop, [_FOLDER, receipt.day], make=True) as inside:
        os.symlink(version, owner, dir_fd=inside)
        os.fsync(inside)
    return receipt


def read(workshop: int, owner: str) -> Receipt | None:
    for day in _days(workshop):
        with suppress(FileNotFoundError), folder(workshop, [_FOLDER, day]) as inside:
            return Receipt(day, os.readlink(owner, dir_fd=inside))
    return None


def drop(workshop: int, owner: str, receipt: Receipt) -> None:
    with suppress(FileNotFoundError), folder(workshop, [_FOLDER, receipt.day]) as inside:
        os.unlink(owner, dir_fd=inside)
        os.fsync(inside)


def sweep(workshop: int, now: datetime, *, left: timedelta) -> None:
    """Takes away receipts that are older than `KEPT`, and what has lain in the workshop for longer than `left`."""
    oldest = (now - KEPT).date()
    for day in _days(workshop):
        # Another executor may be taking it away as well; what is left then is for the next.
        with suppress(ValueError, OSError):
            if date.fromisoformat(day) < oldest:
                _take_away(workshop, day)
    for name in _names(workshop):
        # Without what waits its receipt would say that it happened.
        until = now - (KEPT + timedelta(days=2) if name.endswith(_WAITING) else left)
        with suppress(FileNotFoundError):
            if name != _FOLDER and os.stat(name, dir_fd=workshop).st_mtime < until.timestamp():
                os.unlink(name, dir_fd=workshop)


def _days(workshop: int) -> list[str]:
    with suppress(FileNotFoundError), folder(workshop, [_FOLDER]) as inside:
        return sorted(_names(inside), reverse=True)
    return []


def _take_away(workshop: int, day: str) -> None:
    with folder(workshop, [_FOLDER]) as all_days:
        with folder(all_days, [day]) as inside:
            for name in _names(inside):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=inside)
        os.rmdir(day, dir_fd=all_days)


def _names(inside: int) -> list[str]:
    return os.listdir(inside)
