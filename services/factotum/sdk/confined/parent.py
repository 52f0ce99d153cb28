"""In the parent: a confined child is started, heard and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Any

from factotum.sdk.confined.child import HEADER_BYTES

# A new interpreter is up in a tenth of a second on an idle machine.
START_SECONDS = 30.0


async def started(module: str, *arguments: str) -> Process:
    """A process without environment that runs the module and has said, by its first message, that it is ready.

    Raises `TimeoutError` after `START_SECONDS`, and `IncompleteReadError` if it ends first.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", module, *arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd="/", env={}
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            await received(process)
    except BaseException:  # also a cancellation: nobody else knows of this process
        await end(process)
        raise
    return process


async def received(process: Process) -> dict[str, Any]:
    """The next message, which is JSON. Raises `IncompleteReadError` if the process ends."""
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(HEADER_BYTES), "big")
    answer: dict[str, Any] = json.loads(await process.stdout.readexactly(length))
    return answer


async def end(process: Process) -> None:
    """Harmless if it has ended."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
