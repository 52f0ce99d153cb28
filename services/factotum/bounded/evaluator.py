"""A few processes that evaluate expressions, each killed and replaced when it takes too long or too much."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from factotum.procedures.program import ExpressionError, Json, quoted
from factotum.sdk.confined.child import framed
from factotum.sdk.confined.parent import end, received, started

MEBIBYTE = 1024 * 1024


class TooSlow(ExpressionError):
    """The expression did not end within its time and was stopped."""


class TooLarge(ExpressionError):
    """The expression, or its result, took more memory than it may, and was stopped."""


class Busy(Exception):
    """No process became free for the evaluation: it says nothing of the expression."""


class BoundedEvaluator:
    """Evaluates any allowed program; hurts nobody whatever the program does.

    One evaluation takes at most `seconds` once a process is free for it, and at most `memory_bytes` of
    address space in a process without environment; its result has at most `output_bytes` of JSON.

    Processes start with the first evaluation that needs them. Enter it on the event loop that uses it.

    Args:
        processes: how many evaluate at the same time; None: one a processor, at least two.
    """

    def __init__(
        self,
        processes: int | None = None,
        seconds: float = 2.0,
        memory_bytes: int = 512 * MEBIBYTE,
        output_bytes: int = 2 * MEBIBYTE,
    ) -> None:
        self._processes = processes or max(2, os.cpu_count() or 1)
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._output_bytes = output_bytes
        self._idle: list[Process] = []
        self._free: asyncio.Semaphore | None = None

    async def __aenter__(self) -> Self:
        self._free = asyncio.Semaphore(self._processes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free = None
        while self._idle:
            await end(self._idle.pop())

    async def evaluate(
        self, program: str, value: Json, arguments: Mapping[str, Json], *, patience_seconds: float | None = None
    ) -> Json:
        """The first result of a program on a value, null if there is none.

        Raises `TooSlow`, `TooLarge`, and `ExpressionError` for what the program itself does wrong; `Busy` if
        no process is free within `patience_seconds`. First come, first served.
        """
        if self._free is None:
            raise RuntimeError("the evaluator is not entered")
        request = _request(program, value, arguments)
        async with _turn(self._free, patience_seconds):
            process = self._idle.pop() if self._idle else await self._start()
            kept = False
            try:
                answer = await asyncio.wait_for(_ask(process, request), self._seconds)
                kept = True
            except TimeoutError:
                raise TooSlow(
                    f"{quoted(program)}: did not end within {self._seconds:g} s and was stopped. Let it look at less "
                    "data, or nest fewer generators"
                ) from None
            except (asyncio.IncompleteReadError, ConnectionError):
                raise self._too_large(program) from None
            finally:
                if kept and self._free is not None:
                    self._idle.append(process)
                else:
                    await end(process)
        if answer.get("large"):
            raise self._too_large(program)
        if "error" in answer:
            raise ExpressionError(answer["error"])
        return answer["result"]

    def _too_large(self, program: str) -> TooLarge:
        return TooLarge(
            f"{quoted(program)}: took more than {self._memory_bytes // MEBIBYTE} MiB, or its result more than "
            f"{self._output_bytes // MEBIBYTE} MiB, and was stopped. Let it make less data"
        )

    async def _start(self) -> Process:
        limits = (self._seconds, self._memory_bytes, self._output_bytes)
        return await started("factotum.bounded.child", *map(str, limits))


@contextlib.asynccontextmanager
async def _turn(free: asyncio.Semaphore, patience_seconds: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(patience_seconds):
            await free.acquire()
    except TimeoutError:
        raise Busy(f"no process was free for the expression within {patience_seconds:g} s") from None
    try:
        yield
    finally:
        free.release()


def _request(program: str, value: Json, arguments: Mapping[str, Json]) -> bytes:
    try:
        message = json.dumps({"program": program, "value": value, "arguments": dict(arguments)}).encode()
    except (RecursionError, TypeError, ValueError) as error:
        raise ExpressionError(f"{quoted(program)}: its data is no JSON: {error}") from error
    return framed(message)


async def _ask(process: Process, request: bytes) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(request)
    await process.stdin.drain()
    return await received(process)
