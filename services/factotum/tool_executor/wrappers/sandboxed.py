"""A tool that runs commands is given a sandbox, and leaves nothing running in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Generic, TypeVar

from factotum.sdk.errors import NotPermitted
from factotum.sdk.sandbox import Command, Ended, Launch, Limits, Sandbox
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
        # With the task that is in the block.
        self._lasting: dict[Launch, asyncio.Task[object] | None] = {}
        self._closed = False

    def program(self, *names: str) -> str:
        return self._sandbox.program(*names)

    async def run(self, command: Command, limits: Limits) -> Ended:
        self._check_open()
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

    @asynccontextmanager
    async def launched(self, command: Command, limits: Limits, *, folders: Sequence[str] = ()) -> AsyncIterator[Launch]:
        self._check_open()
        async with self._sandbox.launched(command, limits, folders=folders) as launch:
            self._check_open()
            self._lasting[launch] = asyncio.current_task()
            try:
                yield launch
            finally:
                del self._lasting[launch]

    def _check_open(self) -> None:
        if self._closed:
            raise NotPermitted(f"the call of {self._tool} has ended: it runs no more commands")

    async def close(self) -> None:
        self._closed = True
        # What the tool left in tasks of its own: their blocks would not end by themselves.
        left = {task for task in self._lasting.values() if task is not None}
        for task in left:
            task.cancel()
        for launch in self._lasting:
            launch.kill()
        if left:
            await asyncio.wait(left)
        for running in self._running:
            running.cancel()
        if self._running:
            await asyncio.wait(set(self._running))
