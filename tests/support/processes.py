"""Real processes for a test: started, awaited until they answer, ended by the handle that is held."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

Probe = Callable[[], Awaitable[bool]]


class DidNotStart(AssertionError):
    """The process ended, or did not answer in time. The message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running process. Whoever started it ends it."""

    argv: Sequence[str]
    log: Path
    handle: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.handle.pid

    async def stop(self, *, within: float = 15.0) -> int:
        """Asks it to end (SIGTERM) and gives its exit status; after `within` seconds it is killed (-9)."""
        if self.handle.returncode is None:
            self.handle.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(within):
                    await self.handle.wait()
            except TimeoutError:
                await self.kill()
        return await self.handle.wait()

    async def kill(self) -> None:
        """Ends it without asking (SIGKILL)."""
        if self.handle.returncode is None:
            self.handle.kill()
        await self.handle.wait()

    def output(self) -> str:
        """What it wrote to standard output and standard error since the log's beginning."""
        return self.log.read_text(encoding="utf-8", errors="replace")


async def start(
    argv: Sequence[str], probe: Probe, *, log: Path, env: Mapping[str, str] | None = None, within: float = 30.0
) -> Process:
    """Starts a process and returns once `probe` says that it answers.

    Args:
        probe: asked again and again; true once the process is ready.
        log: where its output goes, after what is there.
        env: variables to add to this process's own.
        within: seconds to become ready in. Raises `DidNotStart` after them, with the process ended.
    """
    with log.open("ab") as output:
        handle = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(env or {})}
        )
    process = Process(argv, log, handle)
    try:
        async with asyncio.timeout(within):
            while not await probe():
                if handle.returncode is not None:
                    raise DidNotStart(f"{argv} ended with {handle.returncode}:\n{process.output()[-2000:]}")
                await asyncio.sleep(0.05)
    except BaseException as error:  # a cancelled test, too, leaves no process behind
        await process.kill()
        if isinstance(error, TimeoutError):
            raise DidNotStart(f"{argv} did not answer within {within} s:\n{process.output()[-2000:]}") from None
        raise
    return process


def answers_http(url: str, status: int = 200) -> Probe:
    """True once a GET of `url` has this status."""

    async def probe() -> bool:
        try:
            async with httpx2.AsyncClient(trust_env=False, timeout=5.0) as http:
                return (await http.get(url)).status_code == status
        except httpx2.RequestError:
            return False

    return probe


def free_port() -> int:
    """A port on loopback that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
