"""Running a program of the machine to its end, or stopping it with all that it started.

Nothing here is a sandbox: a command that comes from outside runs by `factotum.sdk.sandbox`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from factotum.sdk.errors import Failed

# Where programs of the machine are looked for: not where its environment says.
SEARCH = "/usr/local/bin:/usr/bin:/bin"

# Seconds between looks at what a program uses.
_LOOK = 0.1
_TAIL = 4096
_LINES = 10
_CHUNK = 65_536


class Captured:
    """What a program wrote: its beginning up to a limit in bytes, and its end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._beginning = bytearray()
        self._end = bytearray()
        self.overflowed = False

    async def fill(self, stream: asyncio.StreamReader) -> None:
        """Reads to the end, keeping no more than was said."""
        while chunk := await stream.read(_CHUNK):
            room = self._limit - len(self._beginning)
            self._beginning += chunk[:room]
            self.overflowed = self.overflowed or len(chunk) > room
            self._end = (self._end + chunk)[-_TAIL:]

    @property
    def text(self) -> str:
        return self._beginning.decode("utf-8", "replace")

    @property
    def last_lines(self) -> str:
        """For an error message: a few lines that can be read."""
        lines = self._end.decode("utf-8", "replace").split("\n")
        readable = ["".join(c for c in line if c.isprintable() or c == "\t").rstrip() for line in lines]
        return "\n".join([line for line in readable if line][-_LINES:])[-_TAIL // 4 :]


@dataclass(frozen=True, slots=True)
class Ended:
    """`stopped` says why the program was stopped; empty if it ended by itself."""

    code: int
    stdout: Captured
    stderr: Captured
    stopped: str = ""


async def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    stdin: bytes | None,
    seconds: float,
    output_bytes: int,
    files: Sequence[int] = (),
    look: Callable[[int], str] = lambda _: "",
    kill: Callable[[], None] = lambda: None,
) -> Ended:
    """Runs a program in a session of its own. When this returns or raises, nothing of it runs any more.

    Args:
        files: descriptors that the program inherits.
        look: told the program's process id now and then, says why to stop it; empty: let it run.
        kill: ends what the program has started and what has left its group.

    Raises `Failed`, without effect, if it cannot be started.
    """
    process = await started(command, environment=environment, fed=stdin is not None, files=files, kill=kill)
    assert process.stdout is not None and process.stderr is not None
    stdout, stderr = Captured(output_bytes), Captured(output_bytes)
    work = asyncio.gather(
        _feed(process.stdin, stdin), stdout.fill(process.stdout), stderr.fill(process.stderr), process.wait()
    )
    try:
        stopped = await _watched(work, process.pid, seconds, (stdout, stderr), look)
    finally:
        if not work.done():
            _end(process, kill)
            # The pipes close when the last process that held them is gone.
            await asyncio.wait({work})
    return Ended(process.returncode or 0, stdout, stderr, stopped)


async def started(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    fed: bool,
    files: Sequence[int] = (),
    line_bytes: int = _CHUNK,
    kill: Callable[[], None] = lambda: None,
) -> asyncio.subprocess.Process:
    """A program that was started in a session of its own, whose group is for the caller to end. One that is cancelled
    meanwhile is ended here, with what it has started.

    Args:
        fed: it has a standard input to write to.
        line_bytes: the longest line that can be read from its output.
        kill: as of `run`.

    Raises `Failed`, without effect, if it cannot be started.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if fed else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            limit=line_bytes,
            pass_fds=files,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except OSError as error:
        raise Failed(f"{command[0]} cannot be started: {error.strerror}", effect_possible=False) from error
    except asyncio.CancelledError:
        # Cancelled itself it would end the program alone, and leave what that has started meanwhile.
        while not starting.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({starting})
        if starting.exception() is None:
            _end(starting.result(), kill)
            await starting.result().wait()
        raise


def _end(process: asyncio.subprocess.Process, kill: Callable[[], None]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    kill()


async def _feed(stream: asyncio.StreamWriter | None, content: bytes | None) -> None:
    if stream is None or content is None:
        return
    # A program need not read what it is given.
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(content)
        await stream.drain()
    stream.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await stream.wait_closed()


async def _watched(
    work: asyncio.Future[tuple[None, None, None, int]],
    pid: int,
    seconds: float,
    streams: Sequence[Captured],
    look: Callable[[int], str],
) -> str:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not work.done():
        await asyncio.wait({work}, timeout=min(_LOOK, max(0.0, deadline - loop.time())))
        if work.done():
            break
        if loop.time() >= deadline:
            return f"did not end within {seconds:g} s"
        if any(stream.overflowed for stream in streams):
            return "wrote more than it may"
        if why := look(pid):
            return why
    return ""
