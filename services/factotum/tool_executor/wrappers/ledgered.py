"""An effect happens once per tenant and idempotency key, whatever is killed, cancelled or sent twice.

What an error says of the effect, and whether an earlier attempt left it in doubt, decides what becomes of
the key:

    certainly none, and no doubt before              failed: the next attempt starts afresh
    possible or in doubt, a retry can help           started, lease released: the next attempt asks first
    possible or in doubt, no retry will come,        the system is asked at once: done, or failed with that error;
      RECONCILE                                      if it cannot be asked, a retryable Unavailable
    possible or in doubt, NATIVE                     started, lease released: the next attempt acts again
    possible or in doubt, interrupted                started, lease released: the next attempt asks, or acts again
    possible, NONE; or the tool cannot tell          ambiguous: a person decides

Doubt ends with `done`, or by the word of a person. A call to settle acts only where that cannot make a
second effect, and ends in `done`, `failed`, `ambiguous`, or a retryable Unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from factotum.sdk.errors import (
    Ambiguous,
    Cancelled,
    InvalidArgument,
    NotDone,
    NotPermitted,
    ToolError,
    Unavailable,
)
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.alarms import Alarms
from factotum.tool_executor.calls import Answer, Call, Handler, Prepared
from factotum.tool_executor.errors import EffectAmbiguous
from factotum.tool_executor.lease import Lease
from factotum.tool_executor.ledger import (
    Claim,
    Granted,
    Ledger,
    Publication,
    Refused,
    Replay,
    Settlement,
    State,
    Step,
    StoredObservation,
    stored,
)
from factotum.tool_executor.records import record

log = structlog.get_logger(__name__)

Observe = Callable[[Call, Answer, int], Publication]


@record
class _Verdict:
    """What is known of the effect after an attempt."""

    state: State
    output_json: str | None = None
    error: ToolError | None = None
    reconciled: bool = False
    reason: str = ""
    doubt: bool = False

    @property
    def effect_possible(self) -> bool:
        """As the run is told. Who asked for what became of the effect is told what was found."""
        return self.doubt and not isinstance(self.error, NotDone)


class Ledgered:
    """Reads pass through, where there is no effect of their key; effects are entered before and after. Raises
    `LedgerUnavailable`.

    An attempt goes to its end even if its caller is gone; `drained` waits for those.

    Args:
        act: carries out.
        ask: asks whether it was carried out; None: it certainly was not.
        observe: makes the observation of an attempt, settled together with the effect.
        new_id: gives an owner of a lease, never the same twice.
    """

    def __init__(
        self,
        act: Handler[str],
        ask: Handler[str | None],
        *,
        ledger: Ledger,
        observe: Observe,
        lease_seconds: float,
        ambiguous_retry_seconds: float,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        alarms: Alarms,
    ) -> None:
        self._act = act
        self._ask = ask
        self._ledger = ledger
        self._observe = observe
        self._lease = timedelta(seconds=lease_seconds)
        self._ambiguous_retry = ambiguous_retry_seconds
        self._now = now
        self._new_id = new_id
        self._alarms = alarms
        self._held: set[tuple[str, str]] = set()
        self._attempts: set[asyncio.Task[Answer]] = set()

    async def __call__(self, prepared: Prepared) -> Answer:
        call = prepared.call
        if call.tool.spec.effect is Effect.NONE and not (call.settle or await self._begun_as_effect(call)):
            output = await self._act(prepared)
            return Answer(call.tool.spec.version, call.started_at, self._now(), output_json=output)
        attempt = asyncio.create_task(self._attempt(prepared))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._ended)
        return await asyncio.shield(attempt)

    async def _begun_as_effect(self, call: Call) -> bool:
        """Whether there may be an effect of the key, from when its tool declared one."""
        return bool(call.key) and await self._ledger.effect_possible(call.tenant, call.key)

    async def drained(self) -> None:
        """Returns when no attempt is under way."""
        while self._attempts:
            await asyncio.wait(self._attempts)

    def _ended(self, attempt: asyncio.Task[Answer]) -> None:
        self._attempts.discard(attempt)
        # Nobody else hears of it where the caller is gone.
        if not attempt.cancelled() and (error := attempt.exception()) is not None:
            log.error("an attempt ended without being settled", reason=f"{type(error).__name__}: {error}")

    async def _attempt(self, prepared: Prepared) -> Answer:
        call, spec = prepared.call, prepared.call.tool.spec
        key, owner, now = (call.tenant, call.key), self._new_id(), self._now()
        asked_at = asyncio.get_running_loop().time()
        decision = await self._ledger.claim(
            Claim(
                tenant=call.tenant,
                key=call.key,
                tool=spec.name,
                tool_version=spec.version,
                arguments_json=call.arguments_json,
                arguments_sha256=call.arguments_sha256,
                origin=call.origin,
                # A read cannot say how an effect would be kept from happening twice.
                idempotency=Idempotency.NONE if spec.effect is Effect.NONE else spec.idempotency,
                owner=owner,
                held=key in self._held,
                now=now,
                lease_until=now + self._lease,
                settle=call.settle,
            )
        )
        match decision:
            case Replay(kept):
                return replayed(kept)
            case Refused():
                return refused(call, decision, now=self._now())
            case Granted(step, number, started_at, doubt):
                prepared = replace(prepared, context=replace(prepared.context, started_at=started_at))
                lease = Lease(
                    lambda: self._renewed(call, owner),
                    seconds=self._lease.total_seconds(),
                    asked_at=asked_at,
                    alarms=self._alarms,
                )
                self._held.add(key)
                try:
                    verdict = await self._within(lease, prepared, step, doubt)
                    return await self._settled(call, verdict, owner, number)
                finally:
                    self._held.discard(key)

    async def _renewed(self, call: Call, owner: str) -> bool:
        now = self._now()
        return await self._ledger.renew(call.tenant, call.key, owner, now=now, lease_until=now + self._lease)

    async def _within(self, lease: Lease, prepared: Prepared, step: Step, doubt: bool) -> _Verdict:
        try:
            return await lease.within(self._verdict(lease, prepared, step, doubt))
        except Unavailable as error:  # of the lease: what a tool raises is in the verdict
            log.error("an attempt lost its lease", tenant=prepared.call.tenant, key=prepared.call.key)
            return _Verdict(State.STARTED, error=error, reason=error.message, doubt=True)

    async def _verdict(self, lease: Lease, prepared: Prepared, step: Step, doubt: bool) -> _Verdict:
        if step is Step.GIVE_UP:
            return self._ambiguous(prepared.call, "an earlier attempt was interrupted and the system cannot be asked")
        if step is Step.ASK:
            if (found := await self._asked(prepared)) is not None:
                return found
            if prepared.call.settle:
                error = NotDone(f"the system was asked and does not have the effect of {prepared.call.tool.spec.name}")
                return _Verdict(State.FAILED, error=error, reason=error.message, doubt=True)
        try:
            lease.check()
            return _Verdict(State.DONE, output_json=await self._act(prepared))
        except ToolError as error:
            # What a tool says of having been cut: nobody asked for that.
            cut = isinstance(error, Cancelled) and lease.lost
            failure = Unavailable(error.message, effect_possible=error.effect_possible) if cut else error
        if prepared.call.settle:
            return self._after_repeating(failure, prepared)
        return await self._after(failure, prepared, doubt or failure.effect_possible)

    async def _after(self, error: ToolError, prepared: Prepared, doubt: bool) -> _Verdict:
        idempotency = prepared.call.tool.spec.idempotency
        if not doubt:
            return _Verdict(State.FAILED, error=error, reason=error.message)
        if isinstance(error, Ambiguous) or idempotency is Idempotency.NONE:
            return self._ambiguous(prepared.call, error.message)
        # After an interruption the run wants to go on; it asks what became of the effect when it has to know.
        if error.retryable or idempotency is Idempotency.NATIVE or isinstance(error, Cancelled):
            return _Verdict(State.STARTED, error=error, reason=error.message, doubt=True)
        found = await self._asked(prepared)
        return found or _Verdict(State.FAILED, error=error, reason=error.message, doubt=True)

    def _after_repeating(self, error: ToolError, prepared: Prepared) -> _Verdict:
        """After a repetition, made only to learn what became of an earlier attempt, was refused.

        That the arguments are never accepted was true of the earlier attempt as well. Any other refusal
        may be due to what changed since: what is not found now may have been there, and a look-up that
        lags behind does not find what is. So a person decides.
        """
        if isinstance(error, InvalidArgument) and not error.effect_possible:
            reason = f"the system does not have the effect of {prepared.call.tool.spec.name}: {error.message}"
            return _Verdict(State.FAILED, error=NotDone(reason), reason=reason, doubt=True)
        if isinstance(error, NotPermitted) or (error.retryable and not isinstance(error, Ambiguous)):
            return _not_now(error)
        return self._ambiguous(prepared.call, error.message)

    async def _asked(self, prepared: Prepared) -> _Verdict | None:
        """None if the effect is not there."""
        try:
            output = await self._ask(prepared)
        except Ambiguous as error:
            return self._ambiguous(prepared.call, error.message)
        except ToolError as error:
            # Whatever keeps the system from being asked, a refused credential too: the effect may be
            # there, so the run must come back rather than take it for failed.
            return _not_now(error)
        return None if output is None else _Verdict(State.DONE, output_json=output, reconciled=True)

    def _ambiguous(self, call: Call, why: str) -> _Verdict:
        error = EffectAmbiguous(call.key, why, retry_after=self._ambiguous_retry)
        return _Verdict(State.AMBIGUOUS, error=error, reason=why, doubt=True)

    async def _settled(self, call: Call, verdict: _Verdict, owner: str, number: int) -> Answer:
        now, version = self._now(), call.tool.spec.version
        answer = Answer(
            version,
            call.started_at,
            now,
            verdict.output_json,
            verdict.error,
            effect_possible=verdict.effect_possible,
            recorded=True,
        )
        settlement = Settlement(
            tenant=call.tenant,
            key=call.key,
            owner=owner,
            state=verdict.state,
            now=now,
            reason=verdict.reason,
            observation=None if verdict.output_json is None else stored(answer, verdict.output_json),
            reconciled=verdict.reconciled,
            doubt=verdict.doubt,
            # A question that found nothing is no news.
            publications=() if call.settle and verdict.output_json is None else (self._observe(call, answer, number),),
        )
        if await self._ledger.settle(settlement):
            return answer
        # Only where this process was stopped for longer than a lease: what the other found counts.
        log.error("a lease was lost during a call", tenant=call.tenant, key=call.key, tool=call.tool.spec.name)
        error = Unavailable("another attempt took this call over")
        return replace(answer, output_json=None, error=error, effect_possible=True)


def _not_now(error: ToolError) -> _Verdict:
    reason = f"whether an earlier attempt had its effect could not be asked: {error.message}"
    return _Verdict(State.STARTED, error=Unavailable(reason), reason=reason, doubt=True)


def refused(call: Call, decision: Refused, *, now: datetime) -> Answer:
    return Answer(
        tool_version=call.tool.spec.version,
        started_at=call.started_at,
        ended_at=now,
        error=decision.error,
        effect_possible=decision.effect_possible,
        recorded=True,
    )


def replayed(kept: StoredObservation) -> Answer:
    return Answer(
        tool_version=kept.tool_version,
        started_at=kept.started_at,
        ended_at=kept.ended_at,
        output_json=kept.output_json,
        replayed=True,
        recorded=True,
    )
