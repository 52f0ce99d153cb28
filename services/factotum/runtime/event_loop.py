"""The event loop of a process: asyncio's own, which gRPC wakes no more often than it has something for it."""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import termios
from collections.abc import Callable
from typing import Any, TypeVarTuple

# The class within grpc.aio that hands over to the loop what gRPC's threads have done.
_GRPC = "PollerCompletionQueue"

Ts = TypeVarTuple("Ts")


class EventLoop(asyncio.SelectorEventLoop):
    """Looks once at what gRPC has done where grpc.aio would have it look once for each thing.

    gRPC's thread queues an event and writes a byte into a socket. The reader of that socket takes one byte and all
    events; the bytes of the others wake the loop again, each for nothing. A call is four events, which come in groups
    where the loop is busy: a tenth of the CPU of a busy server goes there (decision 26).
    """

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """As asyncio's; where grpc.aio comes to do it otherwise nothing is changed."""
        owner = getattr(getattr(callback, "func", callback), "__self__", None)
        if type(owner).__name__ == _GRPC:
            callback = once_for_all(fd, callback)
        super().add_reader(fd, callback, *args)


def once_for_all(wakened: socket.socket, handle: Callable[[*Ts], Any]) -> Callable[[*Ts], None]:
    """A reader that takes all bytes but the one which `handle` takes itself, and then calls it.

    Before, not after: the event of a byte is in the queue by the time the byte is there, so that none of those that
    are taken here stands for an event which `handle` does not find.
    """
    number, waiting = wakened.fileno(), array.array("i", [0])

    def ready(*args: *Ts) -> None:
        fcntl.ioctl(number, termios.FIONREAD, waiting)
        if waiting[0] > 1:
            wakened.recv(waiting[0] - 1)
        handle(*args)

    return ready
