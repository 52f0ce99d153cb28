"""No call takes longer than its tool declares."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from factotum.sdk.errors import Cancelled, Unavailable
from factotum.tool_executor.alarms import Alarms, Deadline
from factotum.tool_executor.calls import Handler, Prepared

T = TypeVar("T")


class Timed(Generic[T]):
    """Raises `Unavailable`, effect possible, when the time is up."""

    def __init__(self, inner: Handler[T], *, alarms: Alarms) -> None:
        self._inner = inner
        self._alarms = alarms

    async def __call__(self, prepared: Prepared) -> T:
        spec = prepared.call.tool.spec
        try:
            with Deadline(self._alarms, asyncio.get_running_loop().time() + spec.timeout_seconds) as limit:
                return await self._inner(prepared)
        except TimeoutError as error:  # ours, or one that the tool let through: it means the same
            raise Unavailable(f"{spec.name} had no answer within {spec.timeout_seconds:g} s") from error
        except Cancelled as error:
            if not limit.expired():
                raise
            reason = f"{spec.name} was stopped after {spec.timeout_seconds:g} s"
            raise Unavailable(reason, effect_possible=error.effect_possible) from error
