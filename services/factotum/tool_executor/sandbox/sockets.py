"""What the sockets of a sandbox hold: the kernel's memory, which counts for no process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

# The two ends of a TCP connection hold at most 10 MiB where the kernel's bounds (tcp_wmem, tcp_rmem) are its own.
_OF_TCP = 5 * 1024 * 1024


def held(pid: int, *, room: int) -> int:
    """Bytes that the sockets of the network that a process is in hold, wherever their descriptors are.

    What one of them holds cannot be asked, so it counts with the most that it can: no program inside has larger buffers
    than the kernel's default. One of TCP grows beyond that, so what is in its queues counts; those are read, which
    takes milliseconds, only if they could pass `room`.
    """
    count = _count(pid, "sockstat", "sockets")
    of_tcp = {table: _count(pid, counts, name) for table, counts, name in _TCP}
    found = max(0, count - sum(of_tcp.values())) * _most_of_one()
    if found + sum(of_tcp.values()) * _OF_TCP <= room:
        return found
    return found + sum(sum(_queues(pid, table)) for table, number in of_tcp.items() if number)


_TCP = (("tcp", "sockstat", "TCP"), ("tcp6", "sockstat6", "TCP6"))


def _count(pid: int, file: str, name: str) -> int:
    """The first number of a line such as `TCP: inuse 2 orphan 0`."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/net/{file}").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[2])
    return 0


def _queues(pid: int, table: str) -> Iterator[int]:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            # sl, local address, remote address, state, sent:received
            sent, _, received = line.split()[4].partition(":")
            yield int(sent, 16) + int(received, 16)


@cache
def _most_of_one() -> int:
    bounds = (Path(f"/proc/sys/net/core/{name}_default") for name in ("wmem", "rmem"))
    # What is written last may pass the bound by half of it.
    return max(int(bound.read_text()) for bound in bounds) * 3 // 2
