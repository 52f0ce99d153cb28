"""What a program and all that it started use of the machine, by proc(5)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over a tree of processes. A page that several of them share counts for each; the processor's time is that
    of those that have ended, too."""

    resident_bytes: int
    cpu_seconds: float


def usage(pid: int) -> Usage:
    tree = list(_tree(pid))
    return Usage(sum(map(_resident, tree)), sum(map(_cpu, tree)))


def files_in(folder: str, pid: int) -> int:
    """How many files and folders the file system has that a process sees there; 0 if there is no such process, or as
    long as it sees the machine's own: a sandbox is made by its first process."""
    with suppress(OSError):
        seen = Path(f"/proc/{pid}/root{folder}")
        if seen.stat().st_dev != Path(folder).stat().st_dev:
            found = os.statvfs(seen)
            return found.f_files - found.f_ffree
    return 0


def lives(pid: int) -> bool:
    return bool(fields := _stat(pid)) and fields[0] not in ("Z", "X")


def kill_first(pid: int) -> None:
    """Kills the first process of a PID namespace, and with it all others there. Any other process is left alone."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        # Its number may by now be another's, who is not to be hurt.
        if _is_first(pid):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _is_first(pid: int) -> bool:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name == "NSpid":
                return len(numbers.split()) > 1 and numbers.split()[-1] == "1"
    return False


def _tree(pid: int) -> Iterator[int]:
    left = [pid]
    while left:
        yield (one := left.pop())
        # A process that ends meanwhile has nothing any more.
        with suppress(OSError):
            for thread in Path(f"/proc/{one}/task").iterdir():
                with suppress(OSError):
                    left += map(int, (thread / "children").read_text().split())


def _resident(pid: int) -> int:
    with suppress(OSError):
        # size, resident, …, in pages
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0


def _cpu(pid: int) -> float:
    # utime, stime, cutime, cstime
    return sum(map(int, _stat(pid)[11:15])) / _TICK


def _stat(pid: int) -> list[str]:
    """What follows the name, which is in parentheses, beginning with the state; empty without such a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
