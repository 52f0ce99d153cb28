"""That an effect happens once: repeated, asked for, cut off at any point."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from factotum.sdk.conformance.interruption import Cut, Interrupted
from factotum.sdk.conformance.trial import Trial, Undecided
from factotum.sdk.conformance.world import Arguments, Check, Fault
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import ToolError
from factotum.sdk.spec import Effect, Idempotency

# Seconds that a tool may go on after it was cancelled.
CANCEL_SECONDS = 5.0
# Waits of one call that are cut; a call that waits more often is cut at these many, evenly spread.
MOST_WAITS = 24
# Each call of these makes one thing more.
ADDING = (Effect.CREATE, Effect.SEND)
# Longer than any tool takes two clocks to differ.
LATER = timedelta(hours=1)


async def a_call(trial: Trial[Any]) -> Check:
    arguments, context = await trial.arguments(), trial.context()
    await trial.stands(arguments, 0, "before a call")
    output = await trial.called(arguments, context)
    trial.valid(json.loads(output), trial.spec.output_schema, "the output")
    await trial.stands(arguments, 1, "after a call")
    return Check("a call", True)


async def a_repeated_call(trial: Trial[Any]) -> Check:
    name = "a repeated call"
    if trial.spec.effect is not Effect.NONE and trial.spec.idempotency is not Idempotency.NATIVE:
        return Check(name, None, "the executor does not repeat it")
    arguments, context = await trial.arguments(), trial.context()
    first = await trial.called(arguments, context)
    second = await trial.called(arguments, context)
    await trial.stands(arguments, 1, "after the same call twice, with the same key")
    if trial.spec.effect is not Effect.NONE and json.loads(first) != json.loads(second):
        raise Fault(f"the same call with the same key answered {first}, then {second}")
    return Check(name, True)


async def two_calls_alike(trial: Trial[Any]) -> Check:
    """Two keys are two effects, unless the system refuses the second."""
    name = "two calls alike"
    if trial.spec.effect not in ADDING:
        return Check(name, None, "it adds nothing")
    arguments = await trial.arguments()
    await trial.called(arguments, trial.context())
    try:
        await trial.call(trial.read(arguments), trial.context())
    except ToolError as error:
        if error.retryable:
            raise Fault(f"of the second, with another key, it raised {error.kind}: {error.message}") from error
        await trial.stands(arguments, 1, "after a second call, with another key, that was refused,")
        return Check(name, True, f"the second is refused: {error.kind}")
    await trial.stands(arguments, 2, "after two calls with the same arguments and two keys")
    return Check(name, True)


async def a_call_never_made(trial: Trial[Any]) -> Check:
    name = "a call never made"
    if not trial.asks:
        return Check(name, None, "nobody is asked")
    arguments = await trial.arguments()
    found = await trial.found(arguments, trial.context())
    if found is not None:
        raise Fault(f"reconcile found {found} of a call that was never made")
    return Check(name, True)


async def a_lost_answer(trial: Trial[Any]) -> Check:
    name = "a lost answer"
    if not trial.asks:
        return Check(name, None, "nobody is asked")
    arguments, context = await trial.arguments(), trial.context()
    output = await trial.called(arguments, context)
    found = await trial.found(arguments, context)
    if found is None:
        raise Fault(f"reconcile found nothing of a call that answered {output}")
    if json.loads(found) != json.loads(output):
        raise Fault(f"the call answered {output}, reconcile found {found}")
    if trial.tool.receipt_maker is not None:
        receipt = trial.text(trial.tool.receipt_maker(trial.read(arguments), context))
        if json.loads(receipt) != json.loads(output):
            raise Fault(f"the call answered {output}, its receipt is {receipt}")
    other = await trial.found(await trial.arguments(), trial.context())
    if other is not None:
        raise Fault(f"reconcile found {other} of another call, that was never made")
    # A change that is made already is not made again; a second thing is.
    if trial.spec.effect in ADDING and await trial.found(arguments, trial.context(later=LATER)) is not None:
        raise Fault("reconcile found the effect of an earlier call with the same arguments and another key")
    return Check(name, True)


async def a_cut_at_every_wait(trial: Trial[Any]) -> Check:
    """A kill or a cancel at each point where the call waits; then what an executor does next."""
    name = "a cut at every wait"
    if trial.spec.effect is Effect.NONE:
        return Check(name, None, "it reads")
    if not (waits := await _waits(trial)):
        return Check(name, None, "it never waits")
    cuts = [(wait, cut) for wait in _spread(waits) for cut in Cut]
    ended = [await _cut(trial, wait, cut) for wait, cut in cuts]
    # A request that was on its way may arrive late.
    for arguments, wanted, when in ended:
        if wanted is not None:
            await trial.stands(arguments, wanted, f"{when}, a while later,")
    return Check(name, True, f"{len(cuts)} cuts at {waits} waits")


async def _waits(trial: Trial[Any]) -> int:
    """How often a call waits."""
    arguments, context = await trial.arguments(), trial.context()
    whole = Interrupted(trial.call(trial.read(arguments), context))
    await whole
    return whole.waits


async def _cut(trial: Trial[Any], wait: int, cut: Cut) -> tuple[Arguments, int | None, str]:
    """Cuts a call off; gives its arguments and how often its effect has to stand, None if nobody can say."""
    when = f"after a cut at wait {wait}, {cut.value}"
    arguments, context = await trial.arguments(), trial.context()
    ended = await _interrupted(trial, arguments, context, wait, cut)
    if isinstance(ended, ToolError) and not ended.effect_possible:
        await trial.stands(arguments, 0, f"{when}, of which the tool says that it had no effect,")
    decided = trial.spec.idempotency is not Idempotency.NONE
    if decided and not isinstance(ended, str):
        try:
            when = f"{when} and a retry{await _retried(trial, arguments, context, when)}"
        except Undecided:
            decided = False
    if not decided:
        if (standing := await trial.settled(arguments)) > 1:
            raise Fault(f"{when} the effect stands {standing} times")
        return arguments, None, when
    await trial.stands(arguments, 1, when)
    return arguments, 1, when


async def _retried(trial: Trial[Any], arguments: Arguments, context: ToolContext[Any], when: str) -> str:
    """What the executor does when a retry finds the effect started: it asks, acts, and asks again if that fails."""
    if not trial.asks:
        await trial.called(arguments, context)
        return ""
    if await trial.found(arguments, context) is not None:
        return " that found it done"
    try:
        await trial.call(trial.read(arguments), context)
    except ToolError as error:
        if await trial.found(arguments, context) is None:
            raise Fault(f"{when} a retry raised {error.kind}, and nothing was done: {error.message}") from error
        return " that met the first attempt"
    return ""


async def _interrupted(
    trial: Trial[Any], arguments: Arguments, context: ToolContext[Any], wait: int, cut: Cut
) -> str | BaseException:
    """The output's text, or what the call raised: `CancelledError`, or what the tool makes of it."""
    read = trial.read(arguments)

    async def run() -> str:
        return await Interrupted(trial.call(read, context), wait=wait, cut=cut)

    task = asyncio.create_task(run())
    _, late = await asyncio.wait({task}, timeout=CANCEL_SECONDS)
    if late:
        task.cancel()
        raise Fault(f"it did not end within {CANCEL_SECONDS:g} s after it was cancelled at wait {wait}")
    if task.cancelled():
        return asyncio.CancelledError()
    error = task.exception()
    if error is None:
        return task.result()
    if not isinstance(error, ToolError):
        raise Fault(f"cancelled at wait {wait} it raised {type(error).__name__}: {error}") from error
    return error


def _spread(waits: int) -> list[int]:
    """The numbers 1 to `waits`, or `MOST_WAITS` of them with the first and the last."""
    if waits <= MOST_WAITS:
        return list(range(1, waits + 1))
    return sorted({1 + round(i * (waits - 1) / (MOST_WAITS - 1)) for i in range(MOST_WAITS)})
