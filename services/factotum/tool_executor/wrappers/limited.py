"""No system is asked more often than its tools allow, or while it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from opentelemetry import trace

from factotum.sdk.errors import RateLimited, ToolError
from factotum.sdk.spec import Effect
from factotum.tool_executor.calls import Answer, Call, Handler, Prepared
from factotum.tool_executor.errors import SystemResting
from factotum.tool_executor.ledger import Ledger, Refused, Replay, known
from factotum.tool_executor.limits import Breaker, Breakers, TokenBucket
from factotum.tool_executor.wrappers.ledgered import refused, replayed


class _Beyond(Exception):
    """Refused here; what comes from further inside is not."""

    def __init__(self, refusal: ToolError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Limited:
    """Raises `RateLimited` or `Unavailable`, certainly without effect and with when to come back: before anything
    is entered in the ledger. A call to settle passes: it is about a call that was let through before. What the
    ledger alone can answer is answered: no system is asked for that.

    The bounds are of this executor, and as many times as large where several share the work.

    Args:
        line_seconds: how long a call waits for its turn where a tool takes so many at once.
    """

    def __init__(
        self,
        inner: Handler[Answer],
        *,
        ledger: Ledger,
        breakers: Breakers,
        line_seconds: float,
        ambiguous_retry_seconds: float,
        now: Callable[[], datetime],
    ) -> None:
        self._inner = inner
        self._ledger = ledger
        self._ambiguous_retry = ambiguous_retry_seconds
        self._breakers = breakers
        self._line_seconds = line_seconds
        self._now = now
        self._buckets: dict[tuple[str, str], TokenBucket] = {}
        self._lines: dict[tuple[str, str], tuple[int, asyncio.Semaphore]] = {}

    async def __call__(self, prepared: Prepared) -> Answer:
        call = prepared.call
        if call.settle:
            return await self._inner(prepared)
        try:
            if call.tool.spec.concurrency is None:
                return await self._passed(prepared)
            return await self._in_line(prepared, call.tool.spec.concurrency)
        except _Beyond as beyond:
            if (answer := await self._remembered(call)) is not None:
                return answer
            raise beyond.refusal from None

    async def _remembered(self, call: Call) -> Answer | None:
        entry = await self._ledger.entry(call.tenant, call.key) if call.key else None
        if entry is None or not entry.effect_possible:
            return None
        match known(
            entry,
            key=call.key,
            tool=call.tool.spec.name,
            arguments_sha256=call.arguments_sha256,
            settle=False,
            ambiguous_retry_seconds=self._ambiguous_retry,
        ):
            case Replay(stored):
                return replayed(stored)
            case Refused() as decision:
                return refused(call, decision, now=self._now())
            case None:
                return None

    async def _in_line(self, prepared: Prepared, most: int) -> Answer:
        call = prepared.call
        line = self._line(call, most)
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
        breaker = self._breakers.of(call)
        if breaker is None:
            return await self._inner(prepared)
        if not breaker.closed:
            self._enter(breaker, call)
        try:
            return await self._inner(prepared)
        finally:
            breaker.left(call.interruption)

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
            raise _Beyond(RateLimited(what, retry_after=self._line_seconds)) from None

    def _take(self, call: Call) -> None:
        limit, key = call.tool.spec.rate_limit, (call.tenant, call.tool.spec.name)
        if limit is None:
            return
        bucket = self._buckets.get(key)
        if bucket is None or bucket.limit != limit:
            bucket = self._buckets[key] = TokenBucket(limit, self._now())
        if wait := bucket.take(self._now()):
            what = f"{call.tool.spec.name} takes {limit.calls} calls in {limit.seconds:g} s"
            raise _Beyond(RateLimited(what, retry_after=wait))

    def _enter(self, breaker: Breaker, call: Call) -> None:
        if wait := breaker.enter(call.interruption, self._now()):
            trace.get_current_span().set_attribute("factotum.breaker", breaker.position.value)
            what = f"{call.tool.spec.system} did not answer several times in a row and is left alone for a moment"
            raise _Beyond(SystemResting(what, retry_after=wait))


def _ended(passing: asyncio.Task[Answer], line: asyncio.Semaphore) -> None:
    line.release()
    # Where the caller is gone nobody else asks for it, and the ledger has told what there is to tell.
    if not passing.cancelled():
        passing.exception()
