"""In the child: its limits, and the messages between it and its parent. It loads nothing that it does not need.

A message is four bytes, big-endian, that say how long it is, and so many bytes.
"""

from __future__ import annotations

import resource
from typing import BinaryIO

HEADER_BYTES = 4


def confine(memory_bytes: int) -> None:
    """From now on this process has no files, no core dumps, no further processes, and no more memory than this."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def allow_cpu(seconds: float) -> None:
    """This much more processor time: what ends the process should its parent be gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(HEADER_BYTES, "big") + message


def receive(source: BinaryIO) -> bytes | None:
    """The next message; None at the end."""
    header = source.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    return source.read(int.from_bytes(header, "big"))


def send(sink: BinaryIO, message: bytes) -> None:
    sink.write(framed(message))
    sink.flush()
