"""One child process: in a session of its own, on the supervisor's leash, its output in a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from factotum.dev import leash
from factotum.dev.state import ProcessId

_TAIL_BYTES = 16 * 1024
_LARGEST_LOG = 16 * 1024 * 1024


def leashed(command: Sequence[str], parent: int) -> list[str]:
    """The command, to be started by the process `parent` and to end with it."""
    assert leash.__file__ is not None
    return [sys.executable, "-I", "-S", leash.__file__, str(parent), *command]


class Child:
    """A process that was started. Make it with `start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.id = _identity(process.pid)

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """Starts it; its output is appended to `log`. A command that is not there ends with status 127."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *leashed(command, os.getpid()),
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(process)

    async def wait(self) -> str:
        """Waits for its end; says how it ended. What it had started itself is then ended, too."""
        status = await self._process.wait()
        self._signal(signal.SIGKILL)
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    async def stop(self, grace_seconds: float) -> None:
        """Asks it to end, and ends it after the time of grace. Returns when it is gone."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """Ends it and what it started, at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _identity(pid: int) -> ProcessId:
    try:
        return ProcessId.of(pid)
    except psutil.NoSuchProcess:
        return ProcessId(pid=pid, created=0.0)  # gone already: an identity that no process has


def rotate(log: Path) -> None:
    """Puts a log that has grown large aside; the one put aside before is dropped."""
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_suffix(".log.old"))


def last_lines(log: Path, count: int) -> str:
    """The last lines of a log; empty if there are none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-count:])
