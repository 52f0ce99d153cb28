"""What a system's breaker learns of the calls that reach it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

import structlog
from opentelemetry import trace

from factotum.sdk.errors import Cancelled, InvalidArgument, NotPermitted, ToolError, Unavailable
from factotum.tool_executor.calls import Call, Handler, Prepared
from factotum.tool_executor.limits import Breaker, Breakers

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Often said before the system was reached; of an interrupted call nobody knows what it would have said.
_NEITHER = (Cancelled, InvalidArgument, NotPermitted)


class Watched(Generic[T]):
    """`Unavailable` counts against the system, any answer of it, a refusal too, for it."""

    def __init__(self, inner: Handler[T], *, breakers: Breakers, now: Callable[[], datetime]) -> None:
        self._inner = inner
        self._breakers = breakers
        self._now = now

    async def __call__(self, prepared: Prepared) -> T:
        call = prepared.call
        breaker = self._breakers.of(call)
        if breaker is None:
            return await self._inner(prepared)
        try:
            output = await self._inner(prepared)
        except Unavailable:
            if breaker.failed(call.interruption, self._now()):
                # Not what it said: a secret is taken out of that further outside.
                log.warning("a system is left alone", **_names(call))
                _said("breaker opened")
            raise
        except ToolError as error:
            if not isinstance(error, _NEITHER):
                self._answered(breaker, call)
            raise
        self._answered(breaker, call)
        return output

    def _answered(self, breaker: Breaker, call: Call) -> None:
        if breaker.answered(call.interruption):
            log.info("a system answers again", **_names(call))
            _said("breaker closed")


def _names(call: Call) -> dict[str, str]:
    return {"tenant": call.tenant, "system": call.tool.spec.system}


def _said(event: str) -> None:
    trace.get_current_span().add_event(event)
