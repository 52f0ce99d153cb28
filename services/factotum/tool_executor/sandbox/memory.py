"""What a program and all that it started hold in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """The sum over the tree of processes; a page that several of them share counts for each."""
    return sum(_resident(one) for one in _tree(pid))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    # A process that ends meanwhile has nothing any more.
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (thread / "children").read_text().split():
                    yield from _tree(int(child))


def _resident(pid: int) -> int:
    with suppress(OSError):
        # proc(5): size, resident, …, in pages
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0
