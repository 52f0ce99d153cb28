"""What a tool tells of its progress is seen while the call goes on."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span

from factotum.tool_executor.calls import Call, Handler, Prepared
from factotum.tool_executor.errors import presentable

log = structlog.get_logger(__name__)

T = TypeVar("T")

EVENT = "factotum.progress"
# Of one call: a tool that tells much must not drown the log, and a span keeps its last 128 events alone.
MOST = 100
SECONDS_BETWEEN = 0.2


class Reported(Generic[T]):
    """Makes an event of the call's span, and a line of the log, of what comes by `context.report`: the first, then
    no more than one in `SECONDS_BETWEEN` and `MOST` in all. What comes after the call has ended is dropped."""

    def __init__(self, inner: Handler[T]) -> None:
        self._inner = inner

    async def __call__(self, prepared: Prepared) -> T:
        # Of the call: a tool may report from a task that was begun outside of it.
        prepared.progress.listener = _Telling(prepared.call, trace.get_current_span())
        try:
            return await self._inner(prepared)
        finally:
            prepared.progress.listener = None


class _Telling:
    def __init__(self, call: Call, span: Span) -> None:
        self._call = call
        self._span = span
        self._told = 0
        self._last = 0.0

    def __call__(self, text: str, fraction: float | None = None) -> None:
        now = asyncio.get_running_loop().time()
        if self._told >= MOST or (self._told and now - self._last < SECONDS_BETWEEN):
            return
        self._told += 1
        self._last = now
        words = presentable(text)
        attributes: dict[str, str | float] = {"factotum.progress.text": words}
        if fraction is not None and 0 <= fraction <= 1:
            attributes["factotum.progress.fraction"] = fraction
        self._span.add_event(EVENT, attributes)
        log.info(
            "progress",
            tool=self._call.tool.spec.name,
            tenant=self._call.tenant,
            run_id=self._call.origin.run_id,
            text=words,
            fraction=attributes.get("factotum.progress.fraction"),
        )
