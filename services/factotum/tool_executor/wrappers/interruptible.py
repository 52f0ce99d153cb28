"""A call ends soon after it was asked to."""

from __future__ import annotations

from factotum.sdk.errors import Cancelled
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.alarms import Alarms, Deadline
from factotum.tool_executor.calls import Call, Handler, Prepared
from factotum.tool_executor.under_way import UnderWay


class Interruptible:
    """Cancels the tool's function at the next point where it waits. Raises `Cancelled`; certainly without effect if
    the tool had not begun, or if it says so itself.

    Not interrupted are a call that is repeated only to learn what became of an earlier one, and a call after whose
    interruption nobody could tell but a person whether it had its effect: its own time limit ends that.
    """

    def __init__(self, inner: Handler[str], *, under_way: UnderWay, alarms: Alarms) -> None:
        self._inner = inner
        self._under_way = under_way
        self._alarms = alarms

    async def __call__(self, prepared: Prepared) -> str:
        call, name = prepared.call, prepared.call.tool.spec.name
        if call.interruption.requested and not call.settle:
            raise Cancelled(f"{name} was cancelled before it began", effect_possible=False)
        if not _may_be_interrupted(call):
            return await self._inner(prepared)
        # Of its own: an attempt whose caller is gone is still found.
        with self._under_way.entered(call.tenant, call.key, call.interruption):
            try:
                with Deadline(self._alarms) as cut:
                    call.interruption.cuts.append(cut)
                    try:
                        return await self._inner(prepared)
                    finally:
                        call.interruption.cuts.remove(cut)
            except TimeoutError as error:
                # What the tool itself lets through was made another error further inside.
                raise Cancelled(f"{name} was cancelled") from error


def _may_be_interrupted(call: Call) -> bool:
    spec = call.tool.spec
    return not call.settle and (spec.effect is Effect.NONE or spec.idempotency is not Idempotency.NONE)
