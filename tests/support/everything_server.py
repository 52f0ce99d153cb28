"""The reference server of the Model Context Protocol, npm's @modelcontextprotocol/server-everything."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.tool_calls import closed_port

# Where all is that it reads.
FOLDER = str(Path(__file__).parents[1] / "servers" / "node_modules")
_PROGRAM = Path(FOLDER) / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"


def command() -> list[str]:
    """How it is started, without the name of a transport. Skips where it is not there."""
    node = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin")
    if node is None or not _PROGRAM.exists():
        why = "node or @modelcontextprotocol/server-everything is missing: `make servers` installs them"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return [node, str(_PROGRAM)]


class EverythingServer:
    """One over streamable HTTP that can be started anew at its address."""

    def __init__(self) -> None:
        self._port = closed_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/mcp"

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *command(),
            "streamableHttp",
            env={"PORT": str(self._port), "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def everything_server() -> AsyncIterator[EverythingServer]:
    server = EverythingServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
