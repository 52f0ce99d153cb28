"""A tool that runs commands is given a sandbox, and leaves nothing running in it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Generic, TypeVar

from factotum.sdk.errors import NotPermitted
from factotum.sdk.sandbox import Command, Ended, Limits, Sandbox
from factotum.tool_executor.calls import Handler, Prepared

T = TypeVar("T")


class Sandboxed(Generic[T]):
    """Gives the sandbox to a tool that declares it. Whatever ends the call, its end, an error, a cancel or its time,
    ends every command that the tool began, before the call is answered."""

    def __init__(self, inner: Handler[T], *, sandbox: Sandbox) -> None:
        self._inner = inner
        self._sandbox = sandbox

    async def __call__(self, prepared: Prepared) -> T:
        if not prepared.call.tool.spec.sandbox:
            return await self._inner(prepared)
        sandbox = _OfCall(self._sandbox, prepared.call.tool.spec.name)
        try:
            return await self._inner(replace(prepared, context=replace(prepared.context, sandbox=sandbox)))
        finally:
            await sandbox.close()


class _OfCall:
    """A `Sandbox` that runs nothing after `close`."""

    def __init__(self, sandbox: Sandbox, tool: str) -> None:
        self._sandbox = sandbox
        self._tool = tool
        self._running: set[asyncio.Task[Ended]] = set()
        self._closed = False

    def program(self, *names: str) -> str:
        return self._sandbox.program(*names)

    async def run(self, command: Command, limits: Limits) -> Ended:
        if self._closed:
            raise NotPermitted(f"the call of {self._tool} has ended: it runs no more commands")
        running = asyncio.create_task(self._sandbox.run(command, limits))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(running)
        finally:
            # Where this is cancelled the command is stopped and gone before anybody goes on.
            if not running.done():
                running.cancel()
                await asyncio.wait({running})

    async def close(self) -> None:
        self._closed = True
        for running in self._running:
            running.cancel()
        if self._running:
            await asyncio.wait(set(self._running))
