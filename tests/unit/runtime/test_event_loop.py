"""gRPC wakes the loop once for all that it has ready, and nothing of it is lost."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from factotum.runtime.event_loop import once_for_all
from tests.support import woken_by_grpc


def test_a_wake_up_takes_the_bytes_of_all_that_is_handled_by_it() -> None:
    reading, writing = socket.socketpair()
    handled: list[bytes] = []
    with reading, writing:
        reading.setblocking(False)
        ready = once_for_all(reading, lambda: handled.append(reading.recv(1)))
        for count in (1, 5):
            writing.send(b"1" * count)
            ready()
        assert handled == [b"1", b"1"]
        with pytest.raises(BlockingIOError):
            reading.recv(1)


def test_grpc_is_recognised_and_answers_every_call() -> None:
    done = subprocess.run(
        [sys.executable, "-m", woken_by_grpc.__name__], capture_output=True, text=True, timeout=60, check=True
    )
    # Where the first is 0, grpc.aio hands its events over in another way than it did: decision 26.
    assert done.stdout.split() == ["1", str(woken_by_grpc.CALLS)]
