"""An MCP server that is a process started here: one JSON-RPC message a line (MCP 2025-11-25, Transports, stdio)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

from factotum.connectors.protocols.mcp_wire import Wire
from factotum.sdk.errors import Failed, Unavailable
from factotum.sdk.processes import Captured, started
from factotum.sdk.sandbox import Limits

# Of a server that serves as long as its session lasts.
SERVER_LIMITS = Limits(cpu_seconds=600, memory_mib=1024)

# Seconds: a server is told by the end of its input that it is not needed any more, then by a signal.
_BY_ITSELF = 1.0
_ON_SIGNAL = 1.0
_LOOK = 0.01
_BETWEEN_LOOKS = 0.5
_STDERR_BYTES = 64 * 1024


@asynccontextmanager
async def over_process(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    wire: Wire,
    limit: int,
    files: Sequence[int] = (),
    look: Callable[[int], str] = lambda _: "",
) -> AsyncIterator[TransportStreams]:
    """Streams to and from a process that ends with the block, and all of its group.

    It has just these variables. What it writes to standard error is told where it ends unasked, as `wire.error`.

    Args:
        limit: bytes of one message; a longer one ends the session.
        files: descriptors that it inherits.
        look: told its process id now and then, says why to stop it; empty: let it run.

    Raises `Failed`, without effect, if it cannot be started.
    """
    process = await started(argv, environment=environment, fed=True, files=files, line_bytes=limit)
    told, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    said = Captured(_STDERR_BYTES)
    async with anyio.create_task_group() as group:
        try:
            assert process.stderr is not None
            group.start_soon(said.fill, process.stderr)
            group.start_soon(_read, process, told, wire, said, limit)
            group.start_soon(_write, process, to_send)
            group.start_soon(_looked_at, process, look, wire)
            yield incoming, outgoing
        finally:
            # The library closes its ends; what is left closes with the process.
            with anyio.CancelScope(shield=True):
                await _stopped(process)
            for stream in (told, incoming, outgoing, to_send):
                stream.close()
            group.cancel_scope.cancel()


async def _read(
    process: asyncio.subprocess.Process,
    told: MemoryObjectSendStream[SessionMessage | Exception],
    wire: Wire,
    said: Captured,
    limit: int,
) -> None:
    assert process.stdout is not None
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async with told:
            try:
                async for line in process.stdout:
                    # Some servers greet their reader before they speak the protocol.
                    with suppress(ValueError):
                        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                        await told.send(SessionMessage(message))
            except ValueError:
                wire.error = Failed(f"the MCP server writes a message of more than {limit} bytes")
            else:
                await asyncio.sleep(_LOOK)  # for what it wrote to standard error
                words = f": {said.last_lines}" if said.last_lines else ""
                wire.error = wire.error or Unavailable(f"the MCP server has ended{words}")


async def _write(process: asyncio.subprocess.Process, to_send: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None
    # Of a server that reads no more, the end of its output tells.
    with suppress(ConnectionError):
        async with to_send:
            async for message in to_send:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()


async def _looked_at(process: asyncio.subprocess.Process, look: Callable[[int], str], wire: Wire) -> None:
    while process.returncode is None:
        await asyncio.sleep(_BETWEEN_LOOKS)
        if why := look(process.pid):
            wire.error = Failed(f"the MCP server was stopped: it {why}")
            _signalled(process, signal.SIGKILL)
            return


async def _stopped(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    if not await _ended(process, _BY_ITSELF):
        _signalled(process, signal.SIGTERM)
        await _ended(process, _ON_SIGNAL)
    # What it started and left behind is of its group.
    _signalled(process, signal.SIGKILL)
    await _ended(process, _ON_SIGNAL)


async def _ended(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """By looking: to wait for the process is to wait for all that hold its pipes as well."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while process.returncode is None and loop.time() < deadline:  # noqa: ASYNC110  nothing tells of the end alone
        await asyncio.sleep(_LOOK)
    return process.returncode is not None


def _signalled(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
