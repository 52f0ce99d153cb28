"""Which ports the parts of a stack get: the same as last time, else the usual one, else any free one."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from tempfile import gettempdir

from factotum.dev.part import HOST

Ports = Mapping[str, Mapping[str, int]]

# Below the range from which the system gives ports to outgoing connections.
FREE_RANGE = (20_000, 32_000)
_TRIES = 2_000


class NoFreePort(OSError):
    """Every port that was tried is taken."""


class Reservations:
    """Ports taken for this process until it ends, so that two stacks that start at once choose different ones.

    Args:
        directory: shared by the stacks of this machine; a file a port.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: dict[int, int] = {}

    def take(self, port: int) -> bool:
        """Whether nothing listens on the port and no other stack holds it; it is then held."""
        if port in self._held or not _can_bind(port):
            return False
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._directory / str(port), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._held[port] = descriptor
        return True


def shared_directory() -> Path:
    return Path(gettempdir()) / f"factotum-ports-{os.getuid()}"


def choose(usual: Ports, remembered: Ports, take: Callable[[int], bool], random: Random) -> dict[str, dict[str, int]]:
    """A port for every purpose of every part, no two the same. Raises `NoFreePort`.

    Args:
        take: whether a port can be had; it is never asked for the same port again once it said yes.
    """
    chosen: dict[str, dict[str, int]] = {part: {} for part in usual}
    wishes = (remembered, usual)
    for wish in wishes:
        for part, purposes in usual.items():
            for purpose in purposes:
                port = wish.get(part, {}).get(purpose)
                if purpose not in chosen[part] and port and take(port):
                    chosen[part][purpose] = port
    for part, purposes in usual.items():
        for purpose in purposes:
            if purpose not in chosen[part]:
                chosen[part][purpose] = _any_free(take, random)
    return chosen


def _any_free(take: Callable[[int], bool], random: Random) -> int:
    for _ in range(_TRIES):
        port = random.randrange(*FREE_RANGE)
        if take(port):
            return port
    raise NoFreePort(f"no free port between {FREE_RANGE[0]} and {FREE_RANGE[1]} after {_TRIES} tries")


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As every server does: what a closed connection left behind does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
