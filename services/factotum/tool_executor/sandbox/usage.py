"""What a program and all that it started use of the machine, by proc(5).

Nothing here needs a right over the processes that are looked at.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
# Of /proc/<pid>/status, in KiB. RssShmem is not one: it is of files in memory, which are counted where they are. Of a
# page that was only read, and of which there is but one for the whole machine, the tables are what is held.
_HELD = ("RssAnon", "RssFile", "VmSwap", "VmPTE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over a tree of processes. A page that several of them share counts for each; what is swapped out and the
    tables of pages count, too. The processor's time is also that of those that have ended."""

    held_bytes: int
    cpu_seconds: float


def usage(pid: int) -> Usage:
    tree = list(_tree(pid))
    return Usage(sum(map(_held, tree)), sum(map(_cpu, tree)))


@dataclass(frozen=True, slots=True)
class Filled:
    size: int
    files: int


def filled(folder: str, pid: int) -> Filled:
    """How many bytes, and files and folders, the file system holds that a process sees there; none if there is no such
    process, or as long as it sees the machine's own: a sandbox is made by its first process."""
    with suppress(OSError):
        seen = Path(f"/proc/{pid}/root{folder}")
        if seen.stat().st_dev != Path(folder).stat().st_dev:
            found = os.statvfs(seen)
            return Filled((found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree)
    return Filled(0, 0)


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


def _held(pid: int) -> int:
    with suppress(OSError):
        lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return sum(int(value.split()[0]) * 1024 for name, _, value in lines if name in _HELD)
    return 0


def _cpu(pid: int) -> float:
    # utime, stime, cutime, cstime
    return sum(map(int, _stat(pid)[11:15])) / _TICK


def _stat(pid: int) -> list[str]:
    """What follows the name, which is in parentheses, beginning with the state; empty without such a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
