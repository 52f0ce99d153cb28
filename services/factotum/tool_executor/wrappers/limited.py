"""No system is asked more often than its tools allow, or while it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from opentelemetry import trace

from factotum.sdk.errors import RateLimited
from factotum.sdk.spec import Effect
from factotum.tool_executor.calls import Answer, Call, Handler, Prepared
from factotum.tool_executor.errors import SystemResting
from factotum.tool_executor.limits import Breakers, TokenBucket


class Limited:
    """Raises `RateLimited` or `Unavailable`, certainly without effect and with when to come back: before the
    ledger is touched. A call to settle passes: it is about a call that was let through before.

    Args:
        line_seconds: how long a call waits for its turn where a tool takes so many at once.
    """

    def __init__(
        self, inner: Handler[Answer], *, breakers: Breakers, line_seconds: float, now: Callable[[], datetime]
    ) -> None:
        self._inner = inner
        self._breakers = breakers
        self._line_seconds = line_seconds
        self._now = now
        self._buckets: dict[tuple[str, str], TokenBucket] = {}
        self._lines: dict[tuple[str, str], tuple[int, asyncio.Semaphore]] = {}

    async def __call__(self, prepared: Prepared) -> Answer:
        call = prepared.call
        if call.settle:
            return await self._inner(prepared)
        if call.tool.spec.concurrency is None:
            return await self._passed(prepared)
        line = self._line(call, call.tool.spec.concurrency)
        await self._turn(call, line)
        if call.tool.spec.effect is Effect.NONE:
            try:
                return await self._passed(prepared)
            finally:
                line.release()
        # An effect goes to its end even if its caller is gone, and has its turn until then.
        passing = asyncio.create_task(self._passed(prepared))
        passing.add_done_callback(lambda done: _ended(done, line))
        return await asyncio.shield(passing)

    async def _passed(self, prepared: Prepared) -> Answer:
        call = prepared.call
        self._take(call)
        async with self._entered(call):
            return await self._inner(prepared)

    def _line(self, call: Call, most: int) -> asyncio.Semaphore:
        key = (call.tenant, call.tool.spec.name)
        if key not in self._lines or self._lines[key][0] != most:  # a tool's next version may take another number
            self._lines[key] = (most, asyncio.Semaphore(most))
        return self._lines[key][1]

    async def _turn(self, call: Call, line: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._line_seconds):
                await line.acquire()
        except TimeoutError:
            spec = call.tool.spec
            what = f"{spec.name} takes {spec.concurrency} calls at once, and as many are under way"
            raise RateLimited(what, retry_after=self._line_seconds) from None

    def _take(self, call: Call) -> None:
        limit, key = call.tool.spec.rate_limit, (call.tenant, call.tool.spec.name)
        if limit is None:
            return
        bucket = self._buckets.get(key)
        if bucket is None or bucket.limit != limit:
            bucket = self._buckets[key] = TokenBucket(limit, self._now())
        if wait := bucket.take(self._now()):
            what = f"{call.tool.spec.name} takes {limit.calls} calls in {limit.seconds:g} s"
            raise RateLimited(what, retry_after=wait)

    @asynccontextmanager
    async def _entered(self, call: Call) -> AsyncIterator[None]:
        breaker = self._breakers.of(call)
        if breaker is None:
            yield
            return
        if wait := breaker.enter(call.interruption, self._now()):
            trace.get_current_span().set_attribute("factotum.breaker", breaker.position.value)
            raise SystemResting(
                f"{call.tool.spec.system} did not answer several times in a row and is left alone for a moment",
                retry_after=wait,
            )
        try:
            yield
        finally:
            breaker.left(call.interruption)


def _ended(passing: asyncio.Task[Answer], line: asyncio.Semaphore) -> None:
    line.release()
    # Where the caller is gone nobody else asks for it, and the ledger has told what there is to tell.
    if not passing.cancelled():
        passing.exception()
