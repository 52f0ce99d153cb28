"""A service that starts often: its module is imported once, and each life is a fork of that process.

`python -m tests.support.forked MODULE` reads a JSON object a line: `{"run": {"env": {...}, "log": "..."}}` starts
`MODULE.main()` in a process of its own and answers its pid, `{"poll": PID}` answers its exit status (negative: the
signal) or null. Importing is most of what starting a service costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import DidNotStart, Probe


class Forks:
    """Lives of one service, in this event loop."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asking = asyncio.Lock()

    async def start(self, env: Mapping[str, str], log: Path, probe: Probe, within: float = 60.0) -> Life:
        """A life that answers `probe`. Raises `DidNotStart`."""
        life = Life(await self._ask({"run": {"env": dict(env), "log": str(log)}}), self)
        try:
            async with asyncio.timeout(within):
                while not await probe():
                    if await life.status() is not None:
                        raise DidNotStart(await asyncio.to_thread(log.read_text))
                    await asyncio.sleep(0.05)
        except BaseException:
            await life.kill()
            raise
        return life

    async def poll(self, pid: int) -> int | None:
        status: int | None = await self._ask({"poll": pid})
        return status

    async def _ask(self, question: Any) -> Any:
        # One that is cancelled must still take its answer, or the next would take it.
        return await asyncio.shield(self._asked(question))

    async def _asked(self, question: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        async with self._asking:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            return json.loads(await self._process.stdout.readline())


class Life:
    def __init__(self, pid: int, forks: Forks) -> None:
        self.pid = pid
        self._forks = forks
        self._status: int | None = None

    async def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it lives."""
        if self._status is None:
            self._status = await self._forks.poll(self.pid)
        return self._status

    async def kill(self) -> None:
        """Ends it without asking (SIGKILL)."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Asks it to end (SIGTERM) and gives its exit status."""
        return await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> int:
        if await self.status() is None:
            os.kill(self.pid, how)
        async with asyncio.timeout(20):
            while (status := await self.status()) is None:
                await asyncio.sleep(0.01)
        return status


@asynccontextmanager
async def forks_of(module: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Forks]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    try:
        yield Forks(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # on which it ends, and every life with it
        await process.wait()


def _serve(main: Callable[[], None]) -> None:
    lives: set[int] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if "run" in asked:
            pid = _run(main, **asked["run"])
            lives.add(pid)
            answer: int | None = pid
        elif (answer := _poll(asked["poll"])) is not None:
            lives.discard(asked["poll"])
        print(json.dumps(answer), flush=True)
    for pid in lives:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _run(main: Callable[[], None], env: Mapping[str, str], log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.environ.update(env)
        for number, opened in (
            (0, os.open(os.devnull, os.O_RDONLY)),
            (1, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)),
        ):
            os.dup2(opened, number)
        os.dup2(1, 2)
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(status)  # nothing of the parent's is this one's to clean up


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


if __name__ == "__main__":
    _serve(importlib.import_module(sys.argv[1]).main)
