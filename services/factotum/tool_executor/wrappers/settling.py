"""What became of an effect is told even where the call itself could not be made any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from factotum.sdk.errors import NotDone, ToolError, Unavailable
from factotum.sdk.spec import Effect
from factotum.tool_executor.calls import Answer, Call
from factotum.tool_executor.ledger import Ledger, Refused, Replay, known
from factotum.tool_executor.wrappers.ledgered import refused, replayed


class Settling:
    """Answers a call to settle by the ledger alone where that is enough. Where it is not, whatever keeps
    the system from being asked, settings that are gone too, is `Unavailable`. Other calls pass through.
    """

    def __init__(
        self,
        inner: Callable[[Call], Awaitable[Answer]],
        *,
        ledger: Ledger,
        ambiguous_retry_seconds: float,
        now: Callable[[], datetime],
    ) -> None:
        self._inner = inner
        self._ledger = ledger
        self._ambiguous_retry = ambiguous_retry_seconds
        self._now = now

    async def __call__(self, call: Call) -> Answer:
        if not call.settle:
            return await self._inner(call)
        entry = await self._ledger.entry(call.tenant, call.key) if call.key else None
        # With an entry, the tool declared an effect when this was begun.
        if entry is None and call.tool.spec.effect is Effect.NONE:
            nothing = NotDone(f"{call.tool.spec.name} reads and has no effect")
            return refused(call, Refused(nothing, effect_possible=False), now=self._now())
        match known(
            entry,
            key=call.key,
            tool=call.tool.spec.name,
            arguments_sha256=call.arguments_sha256,
            settle=True,
            ambiguous_retry_seconds=self._ambiguous_retry,
        ):
            case Replay(stored):
                return replayed(stored)
            case Refused() as decision:
                return refused(call, decision, now=self._now())
        try:
            return await self._inner(call)
        except ToolError as error:
            reason = f"what became of the effect cannot be asked now: {error.message}"
            return refused(call, Refused(Unavailable(reason), effect_possible=True), now=self._now())
