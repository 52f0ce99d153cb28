"""The files that a command leaves and that are wanted, as `inside` writes them to a pipe.

Who writes them shares a sandbox with the command, so nothing of it is believed: not their number, lengths or names.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Self

_CHUNK = 65_536
_HEAD = struct.Struct(">IQ")


class Collected:
    """Reads from the pipe while the command runs, inside `async with`.

    Args:
        most: bytes that are kept, names included.

    Attributes:
        theirs: the end that is written to.
    """

    theirs: int
    _reading: asyncio.Task[None]

    def __init__(self, wanted: Sequence[str], *, most: int) -> None:
        self._wanted = wanted
        self._most = most
        self._content = bytearray()
        self.overflowed = False

    async def __aenter__(self) -> Self:
        ours, self.theirs = os.pipe()
        self._reading = asyncio.create_task(self._read(ours))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed()
        self._reading.cancel()
        await asyncio.wait({self._reading})

    async def files(self) -> dict[str, bytes]:
        """By name; only such as were asked for. To be called when nothing of the command runs any more."""
        self._closed()
        await self._reading
        found: dict[str, bytes] = {}
        rest = memoryview(bytes(self._content))
        while len(rest) >= _HEAD.size:
            named, long = _HEAD.unpack_from(rest)
            rest = rest[_HEAD.size :]
            name, content = str(rest[:named], "utf-8", "replace"), rest[named : named + long]
            if any(matches(name, pattern) for pattern in self._wanted):
                found[name] = bytes(content)
            rest = rest[named + long :]
        return found

    async def _read(self, ours: int) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(ours, "rb", buffering=0)
        )
        try:
            while chunk := await stream.read(_CHUNK):
                room = self._most - len(self._content)
                self._content += chunk[:room]
                self.overflowed = self.overflowed or len(chunk) > room
        finally:
            transport.close()

    def _closed(self) -> None:
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1


def is_pattern(text: str) -> bool:
    """Whether it can stand for several names."""
    return any(character in text for character in "*?[")


def matches(name: str, pattern: str) -> bool:
    """Part by part: a `*` is in one folder."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and ".." not in parts and all(map(fnmatchcase, parts, patterns))
